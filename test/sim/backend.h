#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/proxy_protocol.h"
#include "sim/h2_server.h"
#include "sim/message_reader.h"
#include "sim/peer.h"

namespace weir::sim {

class SimBackend;
class BackendConnection;
class H2BackendSide;

// What a backend does about a request: one action after the other.
struct Action {
  enum class Kind : std::uint8_t {
    send,
    send_streamed,  // a streamed body of `code` bytes; its head has been sent
    wait,
    close,    // with a `code` also where a script's close only ends an HTTP/1 body
    abandon,  // the same without a word of TLS
    half_close,
    reset,
    stop_reading,
    go_on_reading,
    tunnel,
    reset_stream,  // over HTTP/2: RST_STREAM with `code`
    go_away,       // over HTTP/2: GOAWAY; with a `code` this stream is above its id, not processed
    warn_to_go,    // over HTTP/2: a GOAWAY that leaves out nothing, the first of two
    streams_max,   // over HTTP/2: SETTINGS that allow `code` streams at a time
    window,        // over HTTP/2: SETTINGS that give streams a window of `code`
    raw,           // over HTTP/2: bytes between the frames; with a `code` a frame that is to be of this stream
    mute,          // over HTTP/2: nothing more is said, whatever scripts say
    deaf,          // nothing of the connection is read any more
  };
  Kind kind = Kind::send;
  std::string bytes;
  Duration wait{0};
  std::uint32_t code = 0;
};
using Script = std::vector<Action>;

inline Action send_bytes(std::string bytes) {
  return {Action::Kind::send, std::move(bytes), {}, 0};
}
inline Action send_streamed(std::uint32_t size) {
  return {Action::Kind::send_streamed, {}, {}, size};
}
inline Action wait_for(Duration wait) {
  return {Action::Kind::wait, {}, wait, 0};
}
inline Action then(Action::Kind kind, std::uint32_t code = 0) {
  return {kind, {}, {}, code};
}

// "HTTP/1.1 200 OK" with Content-Length; `more` are whole field lines.
std::string response(std::string_view body, std::string_view more = {}, std::string_view status = "200 OK");
// The same with a streamed body.
Script streamed_response(std::uint32_t size);
// `body` in chunks of `chunk_bytes`, with trailers as whole field lines.
std::string chunked_response(std::string_view body, std::size_t chunk_bytes, std::string_view trailers = {});
std::string in_chunks(std::string_view body, std::size_t chunk_bytes, std::string_view trailers = {});
// "HTTP/1.1 101 Switching Protocols" to WebSocket, as this request wants it.
std::string switching(const Message& request);
// Bytes that tell from which stream they are and from which place in it.
std::string pattern(std::uint64_t stream, std::size_t size);

// What to do when a request's head has come, and when all of it has.
struct Handler {
  std::function<Script(const Message& request)> at_head;
  std::function<Script(const Message& request)> at_end;
};

// One connection that a backend has accepted.
class BackendConnection final : public Peer {
 public:
  BackendConnection(SimBackend& backend, std::size_t number, SocketId socket);
  ~BackendConnection() override;

  std::size_t number() const { return number_; }
  const MessageReader& reader() const { return reader_; }
  // Null if it speaks HTTP/1.
  H2Server* http2() const;
  // Sends what http2() was told to say.
  void flush_http2();
  // GOAWAY: what has not come yet will not be processed.
  void leave_http2();
  // Of an HTTP/2 connection: a stream of its requests is complete.
  void count_request() { ++requests_; }
  // It can't say anything yet: what it will speak is not known.
  bool silent() const { return silent_; }
  // What its PROXY header said, once it has come.
  const std::optional<ProxiedEnds>& proxied() const { return proxied_; }
  std::size_t requests() const { return requests_; }
  // Whose heads have come, by their x-id.
  const std::vector<std::string>& ids() const { return ids_; }
  void note_id(const Message& request);
  // Has something left to do or to send.
  bool busy() const;
  void run(Script script);

 private:
  void on_bytes(std::string_view bytes) override;
  void on_ended() override;
  bool reads_proxy_header();
  void begin_tls(std::string_view early);
  bool asks_for_http2(std::string_view& bytes);
  void look();
  void go_on();

  SimBackend& backend_;
  const std::size_t number_;
  MessageReader reader_;
  std::unique_ptr<H2BackendSide> http2_;
  const PeerTlsSource* tls_source_;
  std::string first_bytes_;  // as long as they may become HTTP/2's preface
  std::optional<ProxiedEnds> proxied_;
  std::vector<std::string> ids_;
  bool silent_ = false;
  bool begun_ = false;
  bool probed_ = false;
  std::size_t requests_ = 0;
  bool head_told_ = false;
  Script script_;
  std::size_t next_ = 0;
  bool waiting_ = false;
};

// A request as its backend sees it: a connection's whole attention over HTTP/1, a stream over HTTP/2.
class BackendExchange {
 public:
  BackendExchange(BackendConnection& connection, std::int32_t stream) : connection_(connection), stream_(stream) {}

  // As far as it has come.
  const Message& request() const;
  // The proxy has given it up: a reset of what it had.
  bool stopped() const;
  // Bytes of the answer, or of the tunnel, that nobody has taken yet.
  std::size_t unsent() const;
  // The request's body, or the tunnel, is not taken any more until told to.
  void stop_reading();
  void go_on_reading();

  // Of a tunnel: what has come, and that no more will.
  const std::string& tunnel() const;
  bool tunnel_ended() const;
  void send(std::string_view bytes);
  void half_close();
  void reset();

 private:
  const H2Request& on_stream() const { return connection_.http2()->requests().at(stream_); }

  BackendConnection& connection_;
  const std::int32_t stream_;  // 0 over HTTP/1
};

// A backend. Requests are answered by path (longest prefix first), else with 200 and "hello\n".
class SimBackend final : private ReadinessHandler {
 public:
  SimBackend(Outside& outside, std::string name, const SocketAddress& address);
  ~SimBackend();

  const std::string& name() const { return name_; }
  const SocketAddress& address() const { return address_; }

  void on(std::string path, Handler handler) { handlers_[std::move(path)] = std::move(handler); }
  // Always these actions, once the request is complete.
  void on(std::string path, Script script);
  void on(std::string path, std::string bytes) { on(std::move(path), Script{send_bytes(std::move(bytes))}); }

  // Nobody listens any more; connections stay.
  void stop_listening();
  void listen();

  const std::vector<std::unique_ptr<BackendConnection>>& connections() const { return connections_; }
  std::size_t open_connections() const;
  // Complete requests of all connections, in the order in which they were complete.
  const std::vector<Message>& requests() const { return requests_; }
  std::size_t heads() const { return exchanges_.size(); }
  // Of the head that came as the `index`th.
  BackendExchange exchange(std::size_t index) { return exchanges_.at(index); }
  // Those that the proxy has given up.
  std::size_t stopped_exchanges() const;
  // How often HTTP/2 was spoken to it, which it answers with 400 and the end.
  std::size_t http2_probes() const { return http2_probes_; }
  // How often a head with this x-id has come.
  const std::map<std::string, int>& ids() const { return ids_; }
  // How often it was then said over HTTP/2 not to be processed: whoever sent it may send it again.
  const std::map<std::string, int>& disowned() const { return disowned_; }
  // New connections are not read from until told to.
  bool accepts_without_reading = false;
  // Connections must begin with a PROXY header; those that don't are reset.
  bool expects_proxy_header = false;
  // They may, as whoever configures the proxy changes his mind.
  bool takes_proxy_header = false;
  // Else what requests of new connections bring is compared with a streamed body.
  bool keep_bodies = true;
  // What a new connection does at once.
  Script greeting;
  // A connection has come: what is set below may be set anew for it.
  std::function<void()> before_connection;
  // Set: new connections speak TLS, behind a PROXY header if there is one. Outlives the backend.
  const PeerTlsSource* tls = nullptr;
  // Only those that begin with TLS do, and none says a word before it has begun.
  bool tls_is_optional = false;
  // New connections speak HTTP/2 and nothing else.
  std::optional<H2ServerOptions> http2;
  // They say nothing, not even SETTINGS, before this time.
  Duration http2_mute{0};
  // What an HTTP/1 connection does about HTTP/2's preface.
  enum class OnPreface : std::uint8_t { bad_request, close, hang };
  OnPreface on_preface = OnPreface::bad_request;
  std::size_t http2_connections() const;

 private:
  friend class BackendConnection;
  friend class H2BackendSide;
  void note_head(const Message& request, BackendConnection& connection, std::int32_t stream);
  void note_disowned(const Message& request);
  void on_ready(Readiness readiness) override;
  const Handler* handler_for(const Message& request) const;

  Outside& outside_;
  const std::string name_;
  const SocketAddress address_;
  SocketId listener_ = kNoSocket;
  std::map<std::string, Handler> handlers_;
  std::vector<std::unique_ptr<BackendConnection>> connections_;
  std::vector<Message> requests_;
  std::vector<BackendExchange> exchanges_;
  std::size_t http2_probes_ = 0;
  std::map<std::string, int> ids_;
  std::map<std::string, int> disowned_;
};

}  // namespace weir::sim
