#pragma once

#include "config/codecs.h"

// What listeners and clusters say alike of HTTP/2.
namespace weir::config {

inline constexpr Field<Http2Spec> kHttp2Fields[] = {
    field<&Http2Spec::resets, RateOrNone>("resets"),
    field<&Http2Spec::control_frames, RateOrNone>("control_frames"),
    field<&Http2Spec::window_bytes, SizeOrNone>("window_bytes"),
};
inline constexpr Schema<Http2Spec> kHttp2Schema{kHttp2Fields};
using Http2Section = Section<Http2Spec, kHttp2Schema>;

}  // namespace weir::config
