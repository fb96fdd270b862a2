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

// Listeners say more.
inline constexpr Field<ListenerHttp2Spec> kListenerHttp2Fields[] = {
    field_of<ListenerHttp2Spec, &ListenerHttp2Spec::resets, RateOrNone>("resets"),
    field_of<ListenerHttp2Spec, &ListenerHttp2Spec::control_frames, RateOrNone>("control_frames"),
    field_of<ListenerHttp2Spec, &ListenerHttp2Spec::window_bytes, SizeOrNone>("window_bytes"),
    field<&ListenerHttp2Spec::held_bytes, SizeOrNone>("held_bytes"),
};
inline constexpr Schema<ListenerHttp2Spec> kListenerHttp2Schema{kListenerHttp2Fields};
using ListenerHttp2Section = Section<ListenerHttp2Spec, kListenerHttp2Schema>;

}  // namespace weir::config
