#include "upstream/detection/protocol_detection.h"

#include <algorithm>

namespace weir::detection {
namespace {

// A backend that changes what it is with every connection, or that drops it, is not asked more often than this.
constexpr Duration kPause = 1s;

}  // namespace

ProtocolDetection::ProtocolDetection(EventLoop& loop, std::shared_ptr<Backend> backend, Approach approach,
                                     DetectionListener& listener)
    : loop_(loop),
      backend_(std::move(backend)),
      approach_(std::move(approach)),
      listener_(listener),
      timer_(static_cast<TimerHandler&>(*this)) {}

void ProtocolDetection::appeared(Duration spread) {
  if (!state_.on_appeared()) return;
  const auto span = static_cast<std::uint64_t>(std::max<Duration::rep>(spread.count(), 0));
  arm(loop_.now() + Duration(span == 0 ? 0 : loop_.rng().between(0, span)));
}

void ProtocolDetection::met() {
  backend_->heard_want();
  if (state_.on_met(backend_->protocol())) arm(loop_.now());
}

void ProtocolDetection::arm(TimePoint at) {
  loop_.timers().arm(timer_, std::max(at, not_before_));
}

void ProtocolDetection::on_ready(Readiness readiness) {
  if (probe_ == nullptr) return;
  if (const auto result = probe_->advance(readiness)) finish_probe(*result);
}

void ProtocolDetection::on_timer(Timer&) {
  if (probe_ == nullptr) {
    begin_probe();
  } else {
    finish_probe(probe_->late());
  }
}

void ProtocolDetection::begin_probe() {
  state_.on_probe();
  not_before_ = loop_.now() + kPause;
  probe_ = std::make_unique<ProtocolProbe>(loop_, approach_);
  loop_.timers().arm(timer_, loop_.now() + kTimeout);
  ReadinessHandler& handler = *this;
  if (const auto result = probe_->start(handler)) finish_probe(*result);
}

void ProtocolDetection::finish_probe(const ProbeResult& result) {
  probe_.reset();
  loop_.timers().disarm(timer_);
  const SpokenProtocol before = backend_->protocol();
  const SpokenProtocol found = state_.on_verdict(result.verdict);
  if (result.verdict == Verdict::http2) backend_->learn_http2(result.streams_max, result.extended_connect);
  if (state_.phase() == DetectionState::Phase::known) backend_->set_protocol(found);
  if (result.verdict == Verdict::inconclusive) arm(loop_.now() + kPause);
  listener_.on_detected(*this, result, backend_->protocol() != before);
}

}  // namespace weir::detection
