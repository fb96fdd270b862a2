#include "sim/h2_server.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

#include "sim/h2_session.h"

namespace weir::sim {
namespace {

void take_field(H2Request& request, std::string_view name, std::string_view value) {
  Message& message = request.message;
  if (request.head_seen) {
    message.trailers.emplace_back(name, value);
  } else if (name == ":method") {
    message.method = value;
    message.version = "HTTP/2.0";
  } else if (name == ":path") {
    message.target = value;
  } else if (name == ":authority") {
    message.fields.emplace_back("host", value);
  } else if (name == ":protocol") {
    message.method = "GET";
    message.fields.emplace_back("connection", "upgrade");
    message.fields.emplace_back("upgrade", value);
    message.fields.emplace_back("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
  } else if (!name.starts_with(':')) {
    message.fields.emplace_back(name, value);
  }
}

}  // namespace

struct H2Server::Callbacks {
  static H2Server& server(void* user) { return *static_cast<H2Server*>(static_cast<H2Side*>(user)); }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    take_field(server(user).requests_[frame->hd.stream_id], text(name, name_size), text(value, value_size));
    return 0;
  }

  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Server& self = server(user);
    const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        self.requests_[frame->hd.stream_id].head_seen = true;
        [[fallthrough]];
      case NGHTTP2_DATA:
        if (ended) self.requests_[frame->hd.stream_id].message.complete = true;
        break;
      case NGHTTP2_RST_STREAM:
        self.requests_[frame->hd.stream_id].reset = frame->rst_stream.error_code;
        break;
      case NGHTTP2_GOAWAY:
        ++self.go_aways_;
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) ++self.pings_;
        break;
      default:
        break;
    }
    return 0;
  }

  static int data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes, std::size_t size,
                  void* user) {
    H2Server& self = server(user);
    self.requests_[stream].message.take(text(bytes, size), self.keep_bodies_);
    self.consume(stream, size);
    return 0;
  }

  static int closed(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) {
    server(user).requests_[stream].closed = true;
    server(user).forget(stream);
    return 0;
  }

  static int invalid(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    // More streams than SETTINGS allow that the proxy can't have seen yet.
    if (error == NGHTTP2_ERR_REFUSED_STREAM) return 0;
    server(user).fail("frame of type " + std::to_string(frame->hd.type) + ": " + nghttp2_strerror(error));
    return 0;
  }
};

H2Server::H2Server(const H2ServerOptions& options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::invalid);
  std::vector<nghttp2_settings_entry> settings;
  if (options.streams_max) settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, *options.streams_max});
  if (options.stream_window) settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, *options.stream_window});
  if (options.offers_tunnels) settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  session_ = begin_h2_session(true, callbacks, this, settings);
}

void H2Server::head(std::int32_t stream, int status, const Message::Fields& fields, bool end) {
  const std::string code = std::to_string(status);
  std::vector<nghttp2_nv> all{pair(":status", code)};
  for (const auto& [name, value] : fields) all.push_back(pair(name, value));
  if (status < 200) {
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream, nullptr, all.data(), all.size(), nullptr);
    return;
  }
  nghttp2_data_provider provider{};
  provider.read_callback = read_body;
  nghttp2_submit_response(session_, stream, all.data(), all.size(), end ? nullptr : &provider);
}

void H2Server::body(std::int32_t stream, std::string_view bytes) {
  if (!requests_[stream].closed) H2Side::body(stream, bytes);
}

void H2Server::stream_body(std::int32_t stream, std::uint64_t size) {
  if (!requests_[stream].closed) H2Side::stream_body(stream, size);
}

void H2Server::end(std::int32_t stream, const Message::Fields& trailers) {
  if (!requests_[stream].closed) H2Side::end(stream, trailers);
}

void H2Server::go_away(std::int32_t last_id, std::uint32_t code) {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_id, code, nullptr, 0);
}

void H2Server::warn_to_go() {
  nghttp2_submit_shutdown_notice(session_);
}

void H2Server::allow_streams(std::uint32_t at_most) {
  const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, at_most};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
}

void H2Server::set_window(std::uint32_t bytes) {
  const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, bytes};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
}

std::size_t H2Server::open_streams() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(requests_, [](const auto& entry) { return !entry.second.closed; }));
}

}  // namespace weir::sim
