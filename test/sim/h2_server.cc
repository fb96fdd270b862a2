#include "sim/h2_server.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace weir::sim {
namespace {

nghttp2_nv pair(std::string_view name, std::string_view value) {
  const auto* n = reinterpret_cast<const std::uint8_t*>(name.data());
  const auto* v = reinterpret_cast<const std::uint8_t*>(value.data());
  return {const_cast<std::uint8_t*>(n), const_cast<std::uint8_t*>(v), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

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
  static H2Server& server(void* user) { return *static_cast<H2Server*>(user); }

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

  static int data(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    H2Server& self = server(user);
    self.requests_[stream].message.body.append(text(bytes, size));
    nghttp2_session_consume_connection(session, size);
    Outgoing& out = self.outgoing_[stream];
    if (out.held) {
      out.owed += size;
    } else {
      nghttp2_session_consume_stream(session, stream, size);
    }
    return 0;
  }

  static int closed(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) {
    server(user).requests_[stream].closed = true;
    server(user).outgoing_.erase(stream);
    return 0;
  }

  static int invalid(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    // More streams than SETTINGS allow that the proxy can't have seen yet.
    if (error == NGHTTP2_ERR_REFUSED_STREAM) return 0;
    server(user).error_ = "frame of type " + std::to_string(frame->hd.type) + ": " + nghttp2_strerror(error);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* into, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    Outgoing& out = server(user).outgoing_[stream];
    const std::size_t size = std::min(room, out.bytes.size() - out.sent);
    std::memcpy(into, out.bytes.data() + out.sent, size);
    out.sent += size;
    if (out.sent < out.bytes.size()) return static_cast<ssize_t>(size);
    out.bytes.clear();
    out.sent = 0;
    if (!out.ended) return size == 0 ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(size);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!out.trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::vector<nghttp2_nv> fields;
      for (const auto& [name, value] : out.trailers) fields.push_back(pair(name, value));
      nghttp2_submit_trailer(session, stream, fields.data(), fields.size());
    }
    return static_cast<ssize_t>(size);
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
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  WEIR_CHECK(nghttp2_session_server_new2(&session_, callbacks, this, option) == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  std::vector<nghttp2_settings_entry> settings;
  if (options.streams_max) settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, *options.streams_max});
  if (options.stream_window) settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, *options.stream_window});
  if (options.offers_tunnels) settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  // The windows of the streams are what is tested.
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 30);
}

H2Server::~H2Server() {
  nghttp2_session_del(session_);
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
  provider.read_callback = Callbacks::read_body;
  outgoing_[stream].begun = true;
  nghttp2_submit_response(session_, stream, all.data(), all.size(), end ? nullptr : &provider);
}

void H2Server::body(std::int32_t stream, std::string_view bytes) {
  if (requests_[stream].closed || bytes.empty()) return;
  outgoing_[stream].bytes.append(bytes);
  nghttp2_session_resume_data(session_, stream);
}

void H2Server::end(std::int32_t stream, const Message::Fields& trailers) {
  if (requests_[stream].closed) return;
  Outgoing& out = outgoing_[stream];
  out.ended = true;
  out.trailers = trailers;
  nghttp2_session_resume_data(session_, stream);
}

void H2Server::reset(std::int32_t stream, std::uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, code);
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

void H2Server::hold_window(std::int32_t stream) {
  outgoing_[stream].held = true;
}

void H2Server::open_window(std::int32_t stream) {
  const auto found = outgoing_.find(stream);
  if (found == outgoing_.end()) return;
  found->second.held = false;
  nghttp2_session_consume_stream(session_, stream, std::exchange(found->second.owed, 0));
}

void H2Server::feed(std::string_view bytes) {
  const ssize_t read =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (read < 0) error_ = nghttp2_strerror(static_cast<int>(read));
}

std::string H2Server::take_output() {
  std::string all;
  for (;;) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) return all;
    all.append(text(bytes, static_cast<std::size_t>(size)));
  }
}

std::size_t H2Server::unsent() const {
  std::size_t sum = 0;
  for (const auto& entry : outgoing_) sum += entry.second.bytes.size() - entry.second.sent;
  return sum;
}

std::size_t H2Server::unsent(std::int32_t stream) const {
  const auto found = outgoing_.find(stream);
  return found == outgoing_.end() ? 0 : found->second.bytes.size() - found->second.sent;
}

std::size_t H2Server::open_streams() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(requests_, [](const auto& entry) { return !entry.second.closed; }));
}

}  // namespace weir::sim
