#include "sim/h2_engine.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/h2_session.h"

namespace weir::sim {
struct H2Engine::Callbacks {
  static H2Engine& engine(void* user) { return *static_cast<H2Engine*>(static_cast<H2Side*>(user)); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS) engine(user).answers_[frame->hd.stream_id];
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t flags, void* user) {
    H2Answer& answer = engine(user).answers_[frame->hd.stream_id];
    if ((flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0) answer.never_indexed.emplace_back(text(name, name_size));
    if (text(name, name_size) == ":status") {
      answer.message.status = std::stoi(std::string(text(value, value_size)));
      answer.message.version = "HTTP/2.0";
      return 0;
    }
    Message::Fields& into = answer.head_seen ? answer.message.trailers : answer.message.fields;
    into.emplace_back(text(name, name_size), text(value, value_size));
    return 0;
  }

  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Engine& self = engine(user);
    const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: {
        H2Answer& answer = self.answers_[frame->hd.stream_id];
        if (!answer.head_seen && answer.message.status < 200) {
          answer.interim.push_back(std::exchange(answer.message, {}));
        } else {
          answer.head_seen = true;
        }
        if (ended) answer.message.complete = true;
        break;
      }
      case NGHTTP2_DATA:
        if (ended) self.answers_[frame->hd.stream_id].message.complete = true;
        break;
      case NGHTTP2_RST_STREAM:
        self.answers_[frame->hd.stream_id].reset = frame->rst_stream.error_code;
        break;
      case NGHTTP2_GOAWAY:
        self.go_aways_.push_back({frame->goaway.last_stream_id, frame->goaway.error_code});
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++self.pings_answered_;
        break;
      default:
        break;
    }
    return 0;
  }

  static int data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes, std::size_t size,
                  void* user) {
    H2Engine& self = engine(user);
    H2Answer& answer = self.answers_[stream];
    answer.body_bytes += size;
    answer.message.take(text(bytes, size), self.options_.keep_bodies);
    self.consume(stream, size);
    return 0;
  }

  static int closed(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) {
    engine(user).answers_[stream].closed = true;
    return 0;
  }

  static int invalid(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    engine(user).fail("frame of type " + std::to_string(frame->hd.type) + ": " + nghttp2_strerror(error));
    return 0;
  }
};

H2Engine::H2Engine(const H2Options& options) : options_(options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::closed);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::invalid);
  std::vector<nghttp2_settings_entry> settings{{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  if (options.stream_window) settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, *options.stream_window});
  session_ = begin_h2_session(false, callbacks, this, settings);
}

std::int32_t H2Engine::submit(std::string_view method, std::string_view target, const Message::Fields& fields,
                              bool end) {
  std::vector<nghttp2_nv> all;
  const auto given = [&](std::string_view name) {
    return std::ranges::any_of(fields, [&](const auto& field) { return field.first == name; });
  };
  std::string_view authority = "example.com";
  for (const auto& [name, value] : fields) {
    if (name == "host") authority = value;
  }
  if (!given(":method")) all.push_back(pair(":method", method));
  const bool plain_connect = method == "CONNECT" && !given(":protocol");  // names nothing but its authority
  if (!given(":scheme") && !plain_connect) all.push_back(pair(":scheme", "http"));
  if (!given(":authority")) all.push_back(pair(":authority", authority));
  if (!given(":path") && !plain_connect) all.push_back(pair(":path", target));
  for (const auto& [name, value] : fields) {
    if (name != "host") all.push_back(pair(name, value));
  }
  nghttp2_data_provider provider{};
  provider.read_callback = read_body;
  const std::int32_t stream =
      nghttp2_submit_request(session_, nullptr, all.data(), all.size(), end ? nullptr : &provider, nullptr);
  WEIR_CHECK(stream > 0);
  outgoing(stream).ended = end;
  answers_[stream];
  return stream;
}

void H2Engine::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void H2Engine::go_away(std::uint32_t code) {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, code, nullptr, 0);
}

void H2Engine::widen(std::int32_t stream, std::uint32_t bytes) {
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream, static_cast<std::int32_t>(bytes));
}

std::uint32_t H2Engine::streams_allowed() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

}  // namespace weir::sim
