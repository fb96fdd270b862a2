#include "upstream/detection/detection_state.h"

namespace weir::detection {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::http2:
      return "http2";
    case Verdict::http1:
      return "http1";
    case Verdict::down:
      return "down";
    case Verdict::inconclusive:
      return "inconclusive";
  }
  return "";
}

bool DetectionState::on_appeared() {
  return phase_ != Phase::probing;
}

bool DetectionState::on_met(SpokenProtocol believed) {
  switch (phase_) {
    case Phase::unknown:
    case Phase::down:
      return true;
    case Phase::probing:
      return false;
    case Phase::known:
      // Who asked may not have heard yet what was found meanwhile.
      return believed != known_;
  }
  return false;
}

SpokenProtocol DetectionState::on_verdict(Verdict verdict) {
  switch (verdict) {
    case Verdict::http2:
    case Verdict::http1:
      phase_ = Phase::known;
      known_ = verdict == Verdict::http2 ? SpokenProtocol::http2 : SpokenProtocol::http1;
      break;
    case Verdict::down:
      phase_ = Phase::down;
      break;
    case Verdict::inconclusive:
      phase_ = Phase::unknown;
      break;
  }
  return known_;
}

}  // namespace weir::detection
