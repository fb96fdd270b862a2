#include "http/http2/flood_guard.h"

#include <algorithm>
#include <utility>

namespace weir::http2 {

std::string_view to_string(Abuse abuse) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Abuse::count_)> kNames = {
      "none",  "rapid_reset",   "continuation", "empty_frames",  "settings",     "ping",
      "reset", "window_update", "priority",     "unknown_frame", "unread_output"};
  return kNames[static_cast<std::size_t>(abuse)];
}

namespace {

// What may come for a stream that we take for over: a head, trailers, RST_STREAM.
constexpr std::uint64_t kLateFrames = 3;
// Of the streams of earlier windows so many may still get theirs.
constexpr std::uint32_t kLateStreamsMax = 20'000;

}  // namespace

bool FloodGuard::count(Abuse kind, TimePoint now, const SessionLimits& limits) {
  if (now - began_ >= limits.window) {
    began_ = now;
    counts_ = {};
    served_ = sent_ = 0;
    opened_before_ = std::min(std::exchange(opened_, 0), kLateStreamsMax);
  }
  std::uint64_t allowed = limits.control_frames_per_window;
  if (kind == Abuse::rapid_reset) allowed = std::uint64_t{limits.resets_per_window} + served_;
  if (kind == Abuse::ping || kind == Abuse::window_update) allowed += std::uint64_t{sent_} * 2;
  if (kind == Abuse::priority || kind == Abuse::reset) allowed += served_;
  if (kind == Abuse::reset) allowed += kLateFrames * (std::uint64_t{opened_} + opened_before_);
  return ++counts_[static_cast<std::size_t>(kind) - 1] <= allowed;
}

}  // namespace weir::http2
