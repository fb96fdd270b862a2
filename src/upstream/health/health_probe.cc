#include "upstream/health/health_probe.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "upstream/health/answer.h"
#include "upstream/health/http2_exchange.h"

namespace weir::health {
namespace {

using Problem = ProbeConnection::Problem;
using Stage = ProbeConnection::Stage;

Approach approach_to(const SocketAddress& address, std::string_view tls_host, const HealthCheckSettings& settings) {
  Approach approach{.address = address, .proxy_protocol = settings.proxy_protocol};
  if (tls_host.empty()) return approach;
  approach.tls = settings.tls;
  approach.tls_host = tls_host;
  if (settings.type == CheckType::grpc) approach.tls_protocol = "h2";
  return approach;
}

Outcome outcome_of(Problem::Kind kind) {
  switch (kind) {
    case Problem::Kind::own_trouble:
      return Outcome::inconclusive;
    case Problem::Kind::refused:
      return Outcome::refused;
    case Problem::Kind::unreachable:
    case Problem::Kind::tls:
      return Outcome::failure;
  }
  return Outcome::failure;
}

}  // namespace

HealthProbe::HealthProbe(EventLoop& loop, const HealthCheckSettings& settings, const SocketAddress& address,
                         std::string_view host, std::string_view tls_host, bool http2)
    : loop_(loop),
      settings_(settings),
      host_(host),
      connection_(loop, approach_to(address, tls_host, settings)),
      http2_(http2),
      arena_(loop.buffers()),
      head_(arena_),
      trailers_(arena_) {}

HealthProbe::~HealthProbe() {
  if (exchange_ == nullptr) return;
  exchange_->leave();
  connection_.io().output().append(exchange_->take_output());
  static_cast<void>(send());
}

std::optional<ProbeResult> HealthProbe::start(ReadinessHandler& handler) {
  return connection_.start(handler) ? std::nullopt : std::optional(unconnected());
}

std::string_view HealthProbe::waiting_for() const {
  const bool head_read = exchange_ != nullptr ? exchange_->head_read() : head_read_;
  return connection_.stage() == Stage::connecting  ? "connecting"
         : connection_.stage() == Stage::handshake ? "in the TLS handshake"
         : head_read                               ? "waiting for the end of the answer"
                                                   : "waiting for the answer";
}

std::optional<ProbeResult> HealthProbe::advance(Readiness readiness) {
  if (connection_.stage() != Stage::ready) {
    const Stage stage = connection_.advance();
    if (stage == Stage::failed) return unconnected();
    if (stage != Stage::ready) return std::nullopt;
    if (auto result = connected()) return result;
    // What came behind a handshake has given its edge.
    if (connection_.io().secure_layer() != nullptr) readiness.bits |= Readiness::readable;
  }
  if (auto result = send()) return result;
  return readiness.can_read() ? receive() : std::nullopt;
}

ProbeResult HealthProbe::unconnected() const {
  const Problem& problem = connection_.problem();
  const bool tls = problem.kind == Problem::Kind::tls;
  return {outcome_of(problem.kind), tls ? fmt::format("TLS: {}", problem.text) : problem.text};
}

// As far as a check of TCP goes.
std::optional<ProbeResult> HealthProbe::connected() {
  if (settings_.type == CheckType::tcp) {
    // Whatever becomes of a PROXY header, it was let in.
    static_cast<void>(send());
    return ProbeResult{Outcome::success, "connected"};
  }
  http2_ = asks_http2();
  ask();
  return std::nullopt;
}

// ALPN has the last word. A server without it speaks what the configuration says.
bool HealthProbe::asks_http2() const {
  if (settings_.type == CheckType::grpc) return true;
  const SecureLayer* layer = connection_.io().secure_layer();
  return layer == nullptr || layer->protocol().empty() ? http2_ : layer->protocol() == "h2";
}

void HealthProbe::ask() {
  Transport& io = connection_.io();
  if (http2_) {
    exchange_ =
        std::make_unique<Http2Exchange>(loop_.buffers(), settings_, host_, io.secure_layer() != nullptr, loop_.now());
    io.output().append(exchange_->take_output());
    return;
  }
  io.output().append(
      fmt::format("GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: {}\r\naccept: */*\r\nconnection: close\r\n\r\n",
                  settings_.path, host_, kUserAgent));
  decoder_.expect(http::Method::get);
}

std::optional<ProbeResult> HealthProbe::send() {
  Transport& io = connection_.io();
  std::size_t sent = 0;
  if (io.unsent() == 0 || io.flush(sent) != FlushResult::failed) return std::nullopt;
  note_end();
  return ProbeResult{Outcome::failure, "write: the connection is dead"};
}

std::optional<ProbeResult> HealthProbe::receive() {
  Transport& io = connection_.io();
  ReadScratch scratch;
  for (;;) {
    const Transport::Input input = io.read(scratch, kSliceCapacity);
    if (auto result = decode(input.bytes)) return result;
    if (input.status == IoStatus::end) return ended();
    if (input.status == IoStatus::failed) {
      note_end();
      return ProbeResult{Outcome::failure, fmt::format("read: {}", std::strerror(input.error))};
    }
    // A FIN behind what came gives no further edge: it is looked for.
    if (input.status == IoStatus::would_block && input.drained) return std::nullopt;
  }
}

std::optional<ProbeResult> HealthProbe::decode(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  return exchange_ != nullptr ? decode_http2(bytes) : decode_http1(bytes);
}

std::optional<ProbeResult> HealthProbe::decode_http2(std::string_view bytes) {
  auto result = exchange_->receive(bytes, loop_.now());
  if (exchange_->spoken()) {
    heard_ = Heard::http2;
  } else if (result) {
    heard_ = Heard::other;
  }
  if (result) return result;
  connection_.io().output().append(exchange_->take_output());
  return send();
}

// What makes nothing whole yet stays with the connection.
std::optional<ProbeResult> HealthProbe::decode_http1(std::string_view bytes) {
  if (heard_ == Heard::nothing && bytes.starts_with('\0')) {
    if (bytes.size() < http2::kSettingsBeginBytes) {
      connection_.io().keep(bytes);
      return std::nullopt;
    }
    heard_ = http2::begins_with_settings(bytes) ? Heard::http2 : Heard::other;
  }
  for (;;) {
    const http1::Step step = decoder_.next(bytes, head_, trailers_, settings_.head_limits);
    bytes.remove_prefix(step.consumed);
    switch (step.event) {
      case http1::Event::need_more:
        connection_.io().keep(bytes);
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
  if (heard_ == Heard::nothing) heard_ = connection_.io().kept() > 0 ? Heard::other : Heard::end;
}

std::optional<ProbeResult> HealthProbe::ended() {
  note_end();
  if (exchange_ != nullptr) return exchange_->ended();
  if (!head_read_) return ProbeResult{Outcome::failure, "closed before it answered"};
  if (decoder_.finish().event == http1::Event::end) return status_verdict(settings_, status_);
  return ProbeResult{Outcome::failure, "closed inside its answer"};
}

}  // namespace weir::health
