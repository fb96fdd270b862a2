#include "sim/h2_session.h"

#include "base/assert.h"

namespace weir::sim {

nghttp2_session* begin_h2_session(bool server, nghttp2_session_callbacks* callbacks, H2Side* side,
                                  const std::vector<nghttp2_settings_entry>& settings) {
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_session* session = nullptr;
  const auto create = server ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
  WEIR_CHECK(create(&session, callbacks, side, option) == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  // The windows of the streams are what is tested.
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
  return session;
}

}  // namespace weir::sim
