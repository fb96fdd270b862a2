#include "sim/backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "http/websocket.h"
#include "sim/h2_backend.h"

namespace weir::sim {

std::string response(std::string_view body, std::string_view more, std::string_view status) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), more, body);
}

Script streamed_response(std::uint32_t size) {
  return {send_bytes(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", size)), send_streamed(size)};
}

std::string in_chunks(std::string_view body, std::size_t chunk_bytes, std::string_view trailers) {
  std::string text;
  for (std::size_t at = 0; at < body.size(); at += chunk_bytes) {
    const std::string_view piece = body.substr(at, chunk_bytes);
    text += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
  }
  text += fmt::format("0\r\n{}\r\n", trailers);
  return text;
}

std::string chunked_response(std::string_view body, std::size_t chunk_bytes, std::string_view trailers) {
  return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, chunk_bytes, trailers);
}

std::string switching(const Message& request) {
  const auto accept = http::websocket_accept(request.field("sec-websocket-key"));
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
      "{}\r\n\r\n",
      std::string_view(accept.data(), accept.size()));
}

std::string pattern(std::uint64_t stream, std::size_t size) {
  std::string text(size, '\0');
  std::uint64_t x = stream * 0x9e3779b97f4a7c15ULL + 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 16 == 0) x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL + i;
    text[i] = static_cast<char>('A' + ((x >> (4 * (i % 16))) & 15));
  }
  return text;
}

// What a ClientHello begins with.
constexpr char kHandshakeRecord = '\x16';

BackendConnection::BackendConnection(SimBackend& backend, std::size_t number, SocketId socket)
    : Peer(backend.outside_),
      backend_(backend),
      number_(number),
      reader_(MessageReader::Kind::request),
      tls_source_(backend.tls) {
  reader_.keep_bodies = backend.keep_bodies;
  if (backend.http2) http2_ = std::make_unique<H2BackendSide>(backend, *this, *backend.http2, backend.http2_mute);
  if (backend.accepts_without_reading) stop_reading();
  silent_ = backend.tls != nullptr && backend.tls_is_optional;
  const bool waits = backend.expects_proxy_header || silent_;
  if (backend.tls != nullptr && !waits) begin_tls({});
  adopt(socket);
  if (http2_ != nullptr && !waits) http2_->flush();  // SETTINGS
  if (!backend.greeting.empty()) run(backend.greeting);
}

BackendConnection::~BackendConnection() = default;

void BackendConnection::begin_tls(std::string_view early) {
  silent_ = false;
  tls_source_->begins(*this);
  secure(tls_source_->server(http2_ == nullptr ? "http/1.1" : "h2"), early);
}

H2Server* BackendConnection::http2() const {
  return http2_ == nullptr ? nullptr : &http2_->server();
}

void BackendConnection::flush_http2() {
  http2_->flush();
}

void BackendConnection::leave_http2() {
  http2_->go_away(http2_->server().last_stream());
  http2_->flush();
}

bool BackendConnection::busy() const {
  return !script_.empty() || unsent() > 0 || (http2_ != nullptr && http2_->busy());
}

void BackendConnection::on_bytes(std::string_view bytes) {
  std::string behind_header;
  if (!begun_) {
    first_bytes_ += bytes;
    if ((backend_.expects_proxy_header || backend_.takes_proxy_header) && !reads_proxy_header()) return;
    if (tls_source_ != nullptr && !is_secure()) {
      if (!silent_ || first_bytes_.starts_with(kHandshakeRecord)) return begin_tls(std::exchange(first_bytes_, {}));
      if (first_bytes_.empty()) return;
      tls_source_ = nullptr;
      silent_ = false;
    }
    behind_header = first_bytes_;
    bytes = behind_header;
    if (http2_ == nullptr && asks_for_http2(bytes)) return;
    begun_ = true;
  }
  if (http2_ != nullptr) return http2_->on_bytes(bytes);
  reader_.feed(bytes);
  look();
}

// True once it has been read, or is known to be none.
bool BackendConnection::reads_proxy_header() {
  if (proxied_) return true;
  const ProxyParsed parsed = parse_proxy_header(first_bytes_);
  if (parsed.status == ProxyParsed::Status::broken && backend_.takes_proxy_header) return true;
  if (parsed.status == ProxyParsed::Status::broken) reset();
  if (parsed.status != ProxyParsed::Status::done) return false;
  proxied_ = parsed.ends;
  first_bytes_.erase(0, parsed.consumed);
  return true;
}

// True also as long as it can't be told.
bool BackendConnection::asks_for_http2(std::string_view& bytes) {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  if (bytes.size() < kPreface.size()) return kPreface.starts_with(bytes);
  if (!bytes.starts_with(kPreface)) return false;
  if (bytes.size() > kPreface.size() && unsent() == 0 && is_open()) {
    if (!std::exchange(probed_, true)) ++backend_.http2_probes_;
    if (backend_.on_preface == SimBackend::OnPreface::hang) return true;
    if (backend_.on_preface == SimBackend::OnPreface::bad_request) {
      send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    close();
  }
  return true;
}

void BackendConnection::look() {
  while (!reader_.in_tunnel) {
    const bool complete = !reader_.messages.empty();
    if (!complete && !reader_.in_body()) return;
    const Message& request = complete ? reader_.messages.front() : reader_.current;
    const Handler* handler = backend_.handler_for(request);
    if (!head_told_) {
      head_told_ = true;
      backend_.note_head(request, *this, 0);
      note_id(request);
      if (handler != nullptr && handler->at_head) run(handler->at_head(request));
    }
    if (!complete) return;
    ++requests_;
    head_told_ = false;
    backend_.requests_.push_back(request);
    reader_.messages.pop_front();
    if (handler == nullptr) {
      run({send_bytes(response("hello\n"))});
    } else if (handler->at_end) {
      run(handler->at_end(backend_.requests_.back()));
    }
  }
}

void BackendConnection::note_id(const Message& request) {
  if (!request.field("x-id").empty()) ids_.emplace_back(request.field("x-id"));
}

void BackendConnection::on_ended() {
  reader_.end(got_reset());
}

void BackendConnection::run(Script script) {
  script_.insert(script_.end(), std::make_move_iterator(script.begin()), std::make_move_iterator(script.end()));
  if (!waiting_) go_on();
}

void BackendConnection::go_on() {
  while (next_ < script_.size()) {
    const Action action = std::move(script_[next_++]);
    switch (action.kind) {
      case Action::Kind::send:
        send(action.bytes);
        break;
      case Action::Kind::send_streamed:
        stream_body(action.code);
        break;
      case Action::Kind::close:
        close();
        break;
      case Action::Kind::abandon:
        abandon();
        break;
      case Action::Kind::half_close:
        half_close();
        break;
      case Action::Kind::reset:
        reset();
        break;
      case Action::Kind::stop_reading:
        stop_reading();
        break;
      case Action::Kind::go_on_reading:
        go_on_reading();
        break;
      case Action::Kind::tunnel:
        reader_.become_tunnel();
        break;
      case Action::Kind::deaf:
        stop_reading();
        break;
      case Action::Kind::reset_stream:
      case Action::Kind::go_away:
      case Action::Kind::warn_to_go:
      case Action::Kind::streams_max:
      case Action::Kind::window:
      case Action::Kind::raw:
      case Action::Kind::mute:
        break;  // HTTP/1 has no such thing
      case Action::Kind::wait:
        waiting_ = true;
        if (action.wait == kForever) return;
        outside().world().after(action.wait, [this] {
          waiting_ = false;
          go_on();
        });
        return;
    }
  }
  script_.clear();
  next_ = 0;
}

const Message& BackendExchange::request() const {
  return stream_ == 0 ? connection_.reader().current : on_stream().message;
}

bool BackendExchange::stopped() const {
  return connection_.got_reset() || (stream_ != 0 && on_stream().reset.has_value());
}

std::size_t BackendExchange::unsent() const {
  return connection_.unsent() + (stream_ == 0 ? 0 : connection_.http2()->unsent(stream_));
}

void BackendExchange::stop_reading() {
  stream_ == 0 ? connection_.stop_reading() : connection_.http2()->hold_window(stream_);
}

void BackendExchange::go_on_reading() {
  if (stream_ == 0) return connection_.go_on_reading();
  connection_.http2()->open_window(stream_);
  connection_.flush_http2();
}

const std::string& BackendExchange::tunnel() const {
  return stream_ == 0 ? connection_.reader().tunnel : on_stream().message.body;
}

bool BackendExchange::tunnel_ended() const {
  return stream_ == 0 ? connection_.got_fin() : on_stream().message.complete;
}

void BackendExchange::send(std::string_view bytes) {
  if (stream_ == 0) return connection_.send(bytes);
  connection_.http2()->body(stream_, bytes);
  connection_.flush_http2();
}

void BackendExchange::half_close() {
  if (stream_ == 0) return connection_.half_close();
  connection_.http2()->end(stream_);
  connection_.flush_http2();
}

void BackendExchange::reset() {
  if (stream_ == 0) return connection_.reset();
  connection_.http2()->reset(stream_, kH2Cancel);
  connection_.flush_http2();
}

SimBackend::SimBackend(Outside& outside, std::string name, const SocketAddress& address)
    : outside_(outside), name_(std::move(name)), address_(address) {
  listen();
}

SimBackend::~SimBackend() = default;

void SimBackend::on(std::string path, Script script) {
  on(std::move(path), Handler{{}, [script = std::move(script)](const Message&) { return script; }});
}

void SimBackend::stop_listening() {
  if (listener_ == kNoSocket) return;
  outside_.engine().close(listener_);
  listener_ = kNoSocket;
}

void SimBackend::listen() {
  if (listener_ != kNoSocket) return;
  const Result<SocketId> listener = outside_.engine().listen(address_, {});
  WEIR_CHECK(listener.has_value());
  listener_ = *listener;
  WEIR_CHECK(outside_.engine().watch(listener_, *this).has_value());
}

void SimBackend::on_ready(Readiness) {
  for (;;) {
    const Accepted accepted = outside_.engine().accept(listener_);
    if (accepted.status != Accepted::Status::ok) return;
    if (before_connection) before_connection();
    connections_.push_back(std::make_unique<BackendConnection>(*this, connections_.size(), accepted.socket));
  }
}

void SimBackend::note_head(const Message& request, BackendConnection& connection, std::int32_t stream) {
  exchanges_.emplace_back(connection, stream);
  if (!request.field("x-id").empty()) ++ids_[std::string(request.field("x-id"))];
}

void SimBackend::note_disowned(const Message& request) {
  if (!request.field("x-id").empty()) ++disowned_[std::string(request.field("x-id"))];
}

std::size_t SimBackend::http2_connections() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections_, [](const auto& connection) { return connection->http2() != nullptr; }));
}

std::size_t SimBackend::stopped_exchanges() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(exchanges_, [](const BackendExchange& exchange) { return exchange.stopped(); }));
}

std::size_t SimBackend::open_connections() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& connection) { return connection->is_open() && !connection->ended(); }));
}

const Handler* SimBackend::handler_for(const Message& request) const {
  const Handler* best = nullptr;
  std::size_t longest = 0;
  for (const auto& [path, handler] : handlers_) {
    if (!request.target.starts_with(path) || path.size() < longest) continue;
    best = &handler;
    longest = path.size();
  }
  return best;
}

}  // namespace weir::sim
