#include "upstream/health/health_probe.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "net/transport.h"
#include "tls/client_context.h"
#include "upstream/health/answer.h"
#include "upstream/health/http2_exchange.h"

namespace weir::health {
namespace {

bool own_trouble(int error) {
  return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM;
}

ProbeResult connect_failure(int error) {
  std::string text = error == ECONNREFUSED ? "connection refused" : fmt::format("connect: {}", std::strerror(error));
  if (own_trouble(error)) return {Outcome::inconclusive, std::move(text)};
  // ENOENT: the path of a unix socket that nobody has bound.
  if (error == ECONNREFUSED || error == ENOENT) return {Outcome::refused, std::move(text)};
  return {Outcome::failure, std::move(text)};
}

}  // namespace

HealthProbe::HealthProbe(EventLoop& loop, const HealthCheckSettings& settings, const SocketAddress& address,
                         std::string_view host, std::string_view tls_host, bool http2)
    : loop_(loop),
      settings_(settings),
      address_(address),
      host_(host),
      tls_host_(tls_host),
      http2_(http2),
      arena_(loop.buffers()),
      head_(arena_),
      trailers_(arena_) {}

HealthProbe::~HealthProbe() {
  if (socket_ != kNoSocket) loop_.engine().close(socket_);
  if (input_ != nullptr) loop_.buffers().give(input_);
}

std::optional<ProbeResult> HealthProbe::start(ReadinessHandler& handler) {
  const auto socket = loop_.engine().connect(address_);
  if (!socket) return connect_failure(socket.error().code);
  socket_ = *socket;
  if (const auto watched = loop_.engine().watch(socket_, handler); !watched) {
    return ProbeResult{Outcome::inconclusive, watched.error().message};
  }
  return std::nullopt;
}

std::string_view HealthProbe::waiting_for() const {
  const bool head_read = exchange_ != nullptr ? exchange_->head_read() : head_read_;
  return phase_ == Phase::connecting  ? "connecting"
         : phase_ == Phase::handshake ? "in the TLS handshake"
         : head_read                  ? "waiting for the end of the answer"
                                      : "waiting for the answer";
}

std::optional<ProbeResult> HealthProbe::advance(Readiness readiness) {
  auto result = go_on(readiness);
  if (result) say_goodbye();
  return result;
}

// As far as it can be said at once.
void HealthProbe::say_goodbye() {
  if (phase_ == Phase::connecting || phase_ == Phase::handshake) return;
  if (exchange_ != nullptr) {
    exchange_->leave();
    unsent_ += exchange_->take_output();
    static_cast<void>(send());
  }
  if (layer_ != nullptr) layer_->say_goodbye(loop_.engine(), socket_);
}

std::optional<ProbeResult> HealthProbe::go_on(Readiness readiness) {
  if (phase_ == Phase::connecting) {
    if (!readiness.can_write() && !readiness.peer_gone()) return std::nullopt;
    const int error = loop_.engine().connect_error(socket_);
    if (error == EINPROGRESS) return std::nullopt;
    if (error != 0) return connect_failure(error);
    if (auto result = connected()) return result;
  }
  if (phase_ == Phase::handshake) {
    if (auto result = shake_hands()) return result;
    if (phase_ == Phase::handshake) return std::nullopt;
    // What came behind the handshake has given its edge.
    readiness.bits |= Readiness::readable | Readiness::writable;
  }
  if (phase_ == Phase::sending && readiness.can_write()) {
    if (auto result = send()) return result;
  }
  return readiness.can_read() ? receive() : std::nullopt;
}

std::optional<ProbeResult> HealthProbe::connected() {
  if (settings_.proxy_protocol) {
    std::array<char, kProxyWrittenBytesMax> room;
    unsent_ = write_proxy_header(*settings_.proxy_protocol, {}, room);
  }
  if (tls_host_.empty()) return secured();
  // The header goes in the clear. A connection that is new takes it whole.
  if (!unsent_.empty()) {
    if (auto result = send()) return result;
    if (!unsent_.empty()) return ProbeResult{Outcome::inconclusive, "write: the PROXY header is stuck"};
  }
  return secure();
}

std::optional<ProbeResult> HealthProbe::secure() {
  // Else what requests offer too.
  const std::string_view only = settings_.type == CheckType::grpc ? "h2" : "";
  if (settings_.tls != nullptr) layer_ = settings_.tls->connect(loop_.buffers(), tls_host_, nullptr, only);
  if (layer_ == nullptr) return ProbeResult{Outcome::inconclusive, "TLS: out of memory"};
  phase_ = Phase::handshake;
  return std::nullopt;
}

std::optional<ProbeResult> HealthProbe::shake_hands() {
  ReadScratch scratch;
  Buffer nothing(loop_.buffers());
  std::size_t sent = 0;
  if (layer_->unsent() > 0) static_cast<void>(layer_->flush(loop_.engine(), socket_, nothing, sent));
  SecureLayer::Handshake step{SecureLayer::Handshake::Status::waiting};
  do {
    step = layer_->handshake(loop_.engine(), socket_, scratch);
  } while (step.status == SecureLayer::Handshake::Status::waiting && !step.drained);
  switch (step.status) {
    case SecureLayer::Handshake::Status::waiting:
      return std::nullopt;
    case SecureLayer::Handshake::Status::failed:
      return ProbeResult{Outcome::failure, fmt::format("TLS: {}", layer_->failure_text())};
    case SecureLayer::Handshake::Status::done:
      break;
  }
  // A server without ALPN speaks what the configuration says.
  if (const std::string_view chosen = layer_->protocol(); !chosen.empty()) http2_ = chosen == "h2";
  return secured();
}

// As far as a check of TCP goes.
std::optional<ProbeResult> HealthProbe::secured() {
  if (settings_.type == CheckType::tcp) {
    // Whatever becomes of the header, it was let in.
    if (!unsent_.empty()) send();
    return ProbeResult{Outcome::success, "connected"};
  }
  ask();
  phase_ = Phase::sending;
  return std::nullopt;
}

void HealthProbe::ask() {
  if (http2_ || settings_.type == CheckType::grpc) {
    exchange_ = std::make_unique<Http2Exchange>(loop_.buffers(), settings_, host_, layer_ != nullptr, loop_.now());
    unsent_ += exchange_->take_output();
    return;
  }
  unsent_ += fmt::format("GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: {}\r\naccept: */*\r\nconnection: close\r\n\r\n",
                         settings_.path, host_, kUserAgent);
  decoder_.expect(http::Method::get);
}

std::optional<ProbeResult> HealthProbe::send_secure() {
  Buffer plain(loop_.buffers());
  plain.append(unsent_);
  std::size_t sent = 0;
  const FlushResult flushed = layer_->flush(loop_.engine(), socket_, plain, sent);
  // What is encrypted is the layer's to send.
  unsent_.erase(0, unsent_.size() - plain.size());
  if (flushed == FlushResult::failed) {
    note_end();
    return ProbeResult{Outcome::failure, "write: the connection is dead"};
  }
  phase_ = flushed == FlushResult::done ? Phase::receiving : Phase::sending;
  return std::nullopt;
}

std::optional<ProbeResult> HealthProbe::send() {
  if (layer_ != nullptr) return send_secure();
  const iovec piece{unsent_.data(), unsent_.size()};
  const IoResult written = loop_.engine().write(socket_, std::span(&piece, 1), false);
  if (written.status == IoStatus::failed) {
    note_end();
    return ProbeResult{Outcome::failure, fmt::format("write: {}", std::strerror(written.error))};
  }
  unsent_.erase(0, written.bytes);
  phase_ = unsent_.empty() ? Phase::receiving : Phase::sending;
  return std::nullopt;
}

IoResult HealthProbe::read(std::span<char> into) {
  if (layer_ == nullptr) return loop_.engine().read(socket_, into);
  ReadScratch scratch;
  for (;;) {
    const SecureLayer::Input input = layer_->read(loop_.engine(), socket_, scratch, into);
    if (input.status != IoStatus::would_block || input.drained) return {input.status, input.error, input.bytes};
  }
}

std::optional<ProbeResult> HealthProbe::receive() {
  if (phase_ == Phase::connecting) return std::nullopt;
  for (;;) {
    if (input_ == nullptr) input_ = loop_.buffers().take();
    if (input_->end == kSliceCapacity) return ProbeResult{Outcome::failure, "the head of the answer is too large"};
    const std::size_t room = kSliceCapacity - input_->end;
    const IoResult read = this->read(std::span(input_->data() + input_->end, room));
    switch (read.status) {
      case IoStatus::would_block:
        // Idle memory goes back: a stalled backend holds none.
        if (input_->readable() == 0) {
          loop_.buffers().give(input_);
          input_ = nullptr;
        }
        return std::nullopt;
      case IoStatus::failed:
        note_end();
        return ProbeResult{Outcome::failure, fmt::format("read: {}", std::strerror(read.error))};
      case IoStatus::end:
        return ended();
      case IoStatus::ok:
        break;
    }
    input_->end += static_cast<std::uint32_t>(read.bytes);
    if (auto result = decode()) return result;
  }
}

std::optional<ProbeResult> HealthProbe::receive_http2() {
  const std::string_view input(input_->data() + input_->begin, input_->readable());
  auto result = exchange_->receive(input, loop_.now());
  input_->begin = input_->end = 0;
  if (exchange_->spoken()) {
    heard_ = Heard::http2;
  } else if (result) {
    heard_ = Heard::other;
  }
  if (result) return result;
  unsent_ += exchange_->take_output();
  return unsent_.empty() ? std::nullopt : send();
}

std::optional<ProbeResult> HealthProbe::decode() {
  if (exchange_ != nullptr) return receive_http2();
  for (;;) {
    const std::string_view input(input_->data() + input_->begin, input_->readable());
    if (heard_ == Heard::nothing && input.starts_with('\0')) {
      if (input.size() < http2::kSettingsBeginBytes) return std::nullopt;
      heard_ = http2::begins_with_settings(input) ? Heard::http2 : Heard::other;
    }
    const http1::Step step = decoder_.next(input, head_, trailers_, kAnswerHeadLimits);
    input_->begin += static_cast<std::uint32_t>(step.consumed);
    switch (step.event) {
      case http1::Event::need_more:
        std::memmove(input_->data(), input_->data() + input_->begin, input_->readable());
        input_->end -= input_->begin;
        input_->begin = 0;
        return std::nullopt;
      case http1::Event::head:
        heard_ = Heard::http1;
        if (head_.status == 101) return ProbeResult{Outcome::failure, "status 101"};
        if (head_.status < 200) {
          head_.clear();
          break;
        }
        head_read_ = true;
        status_ = head_.status;
        if (!settings_.expects(status_)) return status_verdict(settings_, status_);
        break;
      case http1::Event::body:
        body_bytes_ += step.body.size();
        if (body_bytes_ > kBodyBytesMax) return status_verdict(settings_, status_);
        break;
      case http1::Event::end:
        return status_verdict(settings_, status_);
      case http1::Event::error:
        if (heard_ == Heard::nothing) heard_ = Heard::other;
        return ProbeResult{Outcome::failure, fmt::format("bad answer: {}", step.detail)};
    }
  }
}

void HealthProbe::note_end() {
  if (heard_ == Heard::nothing) heard_ = input_ != nullptr && input_->readable() > 0 ? Heard::other : Heard::end;
}

std::optional<ProbeResult> HealthProbe::ended() {
  note_end();
  if (exchange_ != nullptr) return exchange_->ended();
  if (!head_read_) return ProbeResult{Outcome::failure, "closed before it answered"};
  if (decoder_.finish().event == http1::Event::end) return status_verdict(settings_, status_);
  return ProbeResult{Outcome::failure, "closed inside its answer"};
}

}  // namespace weir::health
