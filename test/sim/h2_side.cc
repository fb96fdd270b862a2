#include "sim/h2_side.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir::sim {

H2Side::~H2Side() {
  nghttp2_session_del(session_);
}

nghttp2_nv H2Side::pair(std::string_view name, std::string_view value) {
  const auto* n = reinterpret_cast<const std::uint8_t*>(name.data());
  const auto* v = reinterpret_cast<const std::uint8_t*>(value.data());
  return {const_cast<std::uint8_t*>(n), const_cast<std::uint8_t*>(v), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view H2Side::text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

void H2Side::body(std::int32_t stream, std::string_view bytes) {
  if (bytes.empty()) return;
  outgoing_[stream].bytes.append(bytes);
  nghttp2_session_resume_data(session_, stream);
}

void H2Side::end(std::int32_t stream, const Message::Fields& trailers) {
  Outgoing& out = outgoing_[stream];
  out.ended = true;
  out.trailers = trailers;
  nghttp2_session_resume_data(session_, stream);
}

void H2Side::stream_body(std::int32_t stream, std::uint64_t size) {
  outgoing_[stream].streamed.begin(size);
  end(stream);
}

void H2Side::reset(std::int32_t stream, std::uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, code);
}

void H2Side::hold_window(std::int32_t stream) {
  outgoing_[stream].held = true;
}

void H2Side::open_window(std::int32_t stream) {
  const auto found = outgoing_.find(stream);
  if (found == outgoing_.end()) return;
  found->second.held = false;
  nghttp2_session_consume_stream(session_, stream, std::exchange(found->second.owed, 0));
}

void H2Side::consume(std::int32_t stream, std::size_t size) {
  nghttp2_session_consume_connection(session_, size);
  Outgoing& out = outgoing_[stream];
  if (out.held) {
    out.owed += size;
  } else {
    nghttp2_session_consume_stream(session_, stream, size);
  }
}

ssize_t H2Side::read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* into, std::size_t room,
                          std::uint32_t* flags, nghttp2_data_source*, void* user) {
  Outgoing& out = static_cast<H2Side*>(user)->outgoing_[stream];
  std::size_t size = std::min(room, out.bytes.size() - out.sent);
  std::memcpy(into, out.bytes.data() + out.sent, size);
  out.sent += size;
  if (out.sent < out.bytes.size()) return static_cast<ssize_t>(size);
  out.bytes.clear();
  out.sent = 0;
  size += out.streamed.take({reinterpret_cast<char*>(into) + size, room - size});
  if (out.streamed.left() > 0) return static_cast<ssize_t>(size);
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

void H2Side::feed(std::string_view bytes) {
  const ssize_t read =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (read < 0) error_ = nghttp2_strerror(static_cast<int>(read));
}

std::string H2Side::take_output() {
  std::string all;
  for (;;) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) return all;
    all.append(text(bytes, static_cast<std::size_t>(size)));
  }
}

std::size_t H2Side::unsent(std::int32_t stream) const {
  const auto found = outgoing_.find(stream);
  return found == outgoing_.end() ? 0 : unsent(found->second);
}

std::size_t H2Side::unsent() const {
  std::size_t sum = 0;
  for (const auto& entry : outgoing_) sum += unsent(entry.second);
  return sum;
}

}  // namespace weir::sim
