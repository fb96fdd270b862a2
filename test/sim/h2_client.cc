#include "sim/h2_client.h"

#include <algorithm>

namespace weir::sim {

SimH2Client::SimH2Client(Outside& outside, const SocketAddress& proxy, const H2Options& options,
                         std::string_view opening, const PeerTlsSource* tls)
    : Peer(outside), engine_(options) {
  connect(proxy);
  Peer::send(opening);
  if (tls != nullptr) {
    tls->begins(*this);
    secure(tls->client("h2"));
  }
  write();
}

std::int32_t SimH2Client::get(std::string_view target, const Message::Fields& fields) {
  const std::int32_t stream = engine_.submit("GET", target, fields, true);
  write();
  return stream;
}

std::int32_t SimH2Client::bodiless(std::string_view method, std::string_view target, const Message::Fields& fields) {
  const std::int32_t stream = engine_.submit(method, target, fields, true);
  write();
  return stream;
}

std::int32_t SimH2Client::open(std::string_view method, std::string_view target, const Message::Fields& fields) {
  const std::int32_t stream = engine_.submit(method, target, fields, false);
  write();
  return stream;
}

std::int32_t SimH2Client::post(std::string_view target, std::string_view bytes, const Message::Fields& fields) {
  const std::int32_t stream = engine_.submit("POST", target, fields, false);
  engine_.body(stream, bytes);
  engine_.end(stream);
  write();
  return stream;
}

std::int32_t SimH2Client::post_streamed(std::string_view target, std::uint64_t size) {
  const std::int32_t stream = engine_.submit("POST", target, {}, false);
  engine_.stream_body(stream, size);
  write();
  return stream;
}

std::int32_t SimH2Client::websocket(std::string_view target, const Message::Fields& fields) {
  Message::Fields all{{":protocol", "websocket"}, {"sec-websocket-version", "13"}};
  all.insert(all.end(), fields.begin(), fields.end());
  return open("CONNECT", target, all);
}

void SimH2Client::body(std::int32_t stream, std::string_view bytes) {
  engine_.body(stream, bytes);
  write();
}

void SimH2Client::end(std::int32_t stream, const Message::Fields& trailers) {
  engine_.end(stream, trailers);
  write();
}

void SimH2Client::reset_stream(std::int32_t stream, std::uint32_t code) {
  engine_.reset(stream, code);
  write();
}

void SimH2Client::go_away() {
  engine_.go_away();
  write();
}

void SimH2Client::ping() {
  engine_.ping();
  write();
}

void SimH2Client::open_window(std::int32_t stream) {
  engine_.open_window(stream);
  write();
}

void SimH2Client::widen(std::int32_t stream, std::uint32_t bytes) {
  engine_.widen(stream, bytes);
  write();
}

std::size_t SimH2Client::complete_answers() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(engine_.answers(), [](const auto& entry) { return entry.second.message.complete; }));
}

void SimH2Client::on_bytes(std::string_view bytes) {
  last_byte_at_ = outside().world().now();
  if (received_bytes_ == 0) refused_ = bytes.starts_with("H");
  received_bytes_ += bytes.size();
  if (refused_) return;
  engine_.feed(bytes);
  write();
  if (on_progress) on_progress();
}

void SimH2Client::on_ended() {
  ended_at_ = outside().world().now();
}

void SimH2Client::write() {
  send(engine_.take_output());
}

std::string h2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  std::string frame;
  for (const std::uint32_t byte : {size >> 16, size >> 8, size, std::uint32_t{type}, std::uint32_t{flags}, stream >> 24,
                                   stream >> 16, stream >> 8, stream}) {
    frame.push_back(static_cast<char>(byte & 0xff));
  }
  frame += payload;
  return frame;
}

std::string h2_block(const Message::Fields& fields) {
  std::string block;
  const auto text = [&](std::string_view value) {
    std::size_t size = value.size();
    if (size < 127) {
      block.push_back(static_cast<char>(size));
    } else {
      block.push_back(127);
      for (size -= 127; size >= 128; size /= 128) block.push_back(static_cast<char>(size % 128 + 128));
      block.push_back(static_cast<char>(size));
    }
    block += value;
  };
  for (const auto& [name, value] : fields) {
    block.push_back(0);
    text(name);
    text(value);
  }
  return block;
}

}  // namespace weir::sim
