#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sim/h2_translator.h"
#include "sim/message_reader.h"
#include "sim/peer.h"

namespace weir::sim {

enum class Protocol : std::uint8_t { http1, http2 };

// A client with one connection: what is sent is given as raw bytes of HTTP/1, what comes is read strictly. Over HTTP/2
// both are translated. `opening` goes before it all, and before TLS.
class SimClient final : public Peer {
 public:
  SimClient(Outside& outside, const SocketAddress& proxy, Protocol protocol = Protocol::http1,
            const PeerTlsSource* tls = nullptr, std::string_view opening = {});

  // A request in HTTP/1.1 with a Host; `more` are whole field lines. A body gets a Content-Length.
  void request(std::string_view method, std::string_view target, std::string_view more = {},
               std::string_view body = {});
  void get(std::string_view target) { request("GET", target); }
  // A streamed body of this size, in HTTP/1.
  void post_streamed(std::string_view target, std::uint64_t size);
  // In HTTP/1: bodies that come are compared with a streamed one, and nothing is kept.
  void compare_bodies();
  // Bytes as they are; an answer to `method` is expected for them.
  void raw(std::string_view bytes, std::string_view method = "GET");
  // The same, of a request (or tunnel) that has begun.
  void send(std::string_view bytes);

  // The client's half of a tunnel: FIN, or the end of its stream.
  void end_tunnel();
  // The proxy's half is over, and was not broken off.
  bool tunnel_ended() const;
  // Something of an answer has come.
  bool anything_said() const;
  // What the network, or HTTP/2's windows, have not let go.
  std::size_t unsent() const;

  const std::deque<Message>& answers() const { return reader_.messages; }
  std::size_t answer_count() const { return reader_.messages.size(); }
  const MessageReader& reader() const { return reader_; }
  const std::string& tunnel() const { return reader_.tunnel; }
  // What was received in all, as it came, where bodies are kept.
  const std::string& received() const { return received_; }
  std::uint64_t received_bytes() const { return received_bytes_; }
  TimePoint last_byte_at() const { return last_byte_at_; }
  TimePoint ended_at() const { return ended_at_; }
  // When an answer could not be read any more, or ended in its midst.
  TimePoint broken_at() const { return broken_at_; }
  // Called when bytes have come. May send, must not destroy.
  std::function<void()> on_progress;

 private:
  void on_bytes(std::string_view bytes) override;
  void on_ended() override;
  void note_break();

  MessageReader reader_;
  std::unique_ptr<H2Translator> http2_;
  std::string received_;
  std::uint64_t received_bytes_ = 0;
  TimePoint last_byte_at_{};
  TimePoint ended_at_{};
  TimePoint broken_at_{};
};

}  // namespace weir::sim
