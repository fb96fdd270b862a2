#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "http/http2/limits.h"

namespace weir::http2 {

// Counts, for one connection and a window of time, what a peer can send for next to nothing. One thread.
class FloodGuard {
 public:
  // One more of that kind. False if they are too many now.
  bool count(Abuse kind, TimePoint now, const SessionLimits& limits);

  // A stream got its answer: it makes up for one that was reset.
  void served() { ++served_; }
  // We have opened a stream (client). If it ends early on our side, its head, its trailers and its RST_STREAM may still
  // come.
  void opened() { ++opened_; }
  // We have sent a frame that peers answer: some acknowledge each of them by PING or WINDOW_UPDATE.
  void sent() { ++sent_; }

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(Abuse::count_) - 1;  // without `none`

  std::array<std::uint32_t, kKinds> counts_{};
  std::uint32_t served_ = 0;
  std::uint32_t opened_ = 0;
  std::uint32_t opened_before_ = 0;  // and whose frames may come in this window
  std::uint32_t sent_ = 0;
  TimePoint began_{};
};

}  // namespace weir::http2
