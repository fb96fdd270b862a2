#pragma once

#include <nghttp2/nghttp2.h>

#include <vector>

#include "sim/h2_side.h"

namespace weir::sim {

// The session of one side, a client's or a server's, which begins with these settings. The windows of its streams open
// only as it is told. Takes the callbacks; the caller owns the session.
nghttp2_session* begin_h2_session(bool server, nghttp2_session_callbacks* callbacks, H2Side* side,
                                  const std::vector<nghttp2_settings_entry>& settings);

}  // namespace weir::sim
