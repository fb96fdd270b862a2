#include "upstream/health/health_probe.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "upstream/health/grpc_exchange.h"

namespace weir::health {
namespace {

// More of a body than this is not waited for.
constexpr std::size_t kBodyBytesMax = 64 * 1024;

// The head has to fit into one slice.
constexpr http::HeadLimits kHeadLimits{.header_bytes = 8 * 1024, .headers = 200, .uri_bytes = 1024};

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
                         std::string_view host)
    : loop_(loop),
      settings_(settings),
      address_(address),
      host_(host),
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
  return phase_ == Phase::connecting ? "connecting"
         : head_read_                ? "waiting for the end of the answer"
                                     : "waiting for the answer";
}

std::optional<ProbeResult> HealthProbe::advance(Readiness readiness) {
  if (phase_ == Phase::connecting) {
    if (!readiness.can_write() && !readiness.peer_gone()) return std::nullopt;
    const int error = loop_.engine().connect_error(socket_);
    if (error == EINPROGRESS) return std::nullopt;
    if (error != 0) return connect_failure(error);
    if (auto result = connected()) return result;
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
  if (settings_.type == CheckType::tcp) {
    // Whatever becomes of the header, it was let in.
    if (!unsent_.empty()) send();
    return ProbeResult{Outcome::success, "connected"};
  }
  if (settings_.type == CheckType::grpc) {
    grpc_ = std::make_unique<GrpcExchange>(loop_.buffers(), settings_, host_, false, loop_.now());
    unsent_ += grpc_->take_output();
    phase_ = Phase::sending;
    return std::nullopt;
  }
  unsent_ += fmt::format(
      "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: weir-health-check\r\naccept: */*\r\nconnection: close\r\n\r\n",
      settings_.path, host_);
  decoder_.expect(http::Method::get);
  phase_ = Phase::sending;
  return std::nullopt;
}

std::optional<ProbeResult> HealthProbe::send() {
  const iovec piece{unsent_.data(), unsent_.size()};
  const IoResult written = loop_.engine().write(socket_, std::span(&piece, 1), false);
  if (written.status == IoStatus::failed)
    return ProbeResult{Outcome::failure, fmt::format("write: {}", std::strerror(written.error))};
  unsent_.erase(0, written.bytes);
  phase_ = unsent_.empty() ? Phase::receiving : Phase::sending;
  return std::nullopt;
}

std::optional<ProbeResult> HealthProbe::receive() {
  if (phase_ == Phase::connecting) return std::nullopt;
  for (;;) {
    if (input_ == nullptr) input_ = loop_.buffers().take();
    if (input_->end == kSliceCapacity) return ProbeResult{Outcome::failure, "the head of the answer is too large"};
    const std::size_t room = kSliceCapacity - input_->end;
    const IoResult read = loop_.engine().read(socket_, std::span(input_->data() + input_->end, room));
    switch (read.status) {
      case IoStatus::would_block:
        // Idle memory goes back: a stalled backend holds none.
        if (input_->readable() == 0) {
          loop_.buffers().give(input_);
          input_ = nullptr;
        }
        return std::nullopt;
      case IoStatus::failed:
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

std::optional<ProbeResult> HealthProbe::receive_grpc() {
  const std::string_view input(input_->data() + input_->begin, input_->readable());
  auto result = grpc_->receive(input, loop_.now());
  input_->begin = input_->end = 0;
  if (result) return result;
  unsent_ += grpc_->take_output();
  return unsent_.empty() ? std::nullopt : send();
}

std::optional<ProbeResult> HealthProbe::decode() {
  if (grpc_ != nullptr) return receive_grpc();
  for (;;) {
    const std::string_view input(input_->data() + input_->begin, input_->readable());
    const http1::Step step = decoder_.next(input, head_, trailers_, kHeadLimits);
    input_->begin += static_cast<std::uint32_t>(step.consumed);
    switch (step.event) {
      case http1::Event::need_more:
        std::memmove(input_->data(), input_->data() + input_->begin, input_->readable());
        input_->end -= input_->begin;
        input_->begin = 0;
        return std::nullopt;
      case http1::Event::head:
        if (head_.status == 101) return ProbeResult{Outcome::failure, "status 101"};
        if (head_.status < 200) {
          head_.clear();
          break;
        }
        head_read_ = true;
        status_ = head_.status;
        if (!settings_.expects(status_)) return verdict();
        break;
      case http1::Event::body:
        body_bytes_ += step.body.size();
        if (body_bytes_ > kBodyBytesMax) return verdict();
        break;
      case http1::Event::end:
        return verdict();
      case http1::Event::error:
        return ProbeResult{Outcome::failure, fmt::format("bad answer: {}", step.detail)};
    }
  }
}

std::optional<ProbeResult> HealthProbe::ended() {
  if (grpc_ != nullptr) return grpc_->ended();
  if (!head_read_) return ProbeResult{Outcome::failure, "closed before it answered"};
  if (decoder_.finish().event == http1::Event::end) return verdict();
  return ProbeResult{Outcome::failure, "closed inside its answer"};
}

ProbeResult HealthProbe::verdict() const {
  return {settings_.expects(status_) ? Outcome::success : Outcome::failure, fmt::format("status {}", status_)};
}

}  // namespace weir::health
