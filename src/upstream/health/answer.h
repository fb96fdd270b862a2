#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "upstream/health/health_settings.h"
#include "upstream/health/probe_result.h"

// What holds for the answers to checks in every version of HTTP.
namespace weir::health {

inline constexpr std::string_view kUserAgent = "weir-health-check";
// More of a body than this is not waited for.
inline constexpr std::size_t kBodyBytesMax = 64 * 1024;

// Of the answer to a GET.
inline ProbeResult status_verdict(const HealthCheckSettings& settings, std::uint16_t status) {
  return {settings.expects(status) ? Outcome::success : Outcome::failure, fmt::format("status {}", status)};
}

}  // namespace weir::health
