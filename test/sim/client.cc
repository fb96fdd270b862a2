#include "sim/client.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace weir::sim {

SimClient::SimClient(Outside& outside, const SocketAddress& proxy, Protocol protocol, const PeerTlsSource* tls,
                     std::string_view opening)
    : Peer(outside), reader_(MessageReader::Kind::response) {
  connect(proxy);
  Peer::send(opening);
  if (tls != nullptr) {
    tls->begins(*this);
    secure(tls->client(protocol == Protocol::http2 ? "h2" : "http/1.1"));
  }
  if (protocol == Protocol::http2) http2_ = std::make_unique<H2Translator>(reader_);
}

void SimClient::request(std::string_view method, std::string_view target, std::string_view more,
                        std::string_view body) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: example.com\r\n{}", method, target, more);
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  text += "\r\n";
  text += body;
  raw(text, method);
}

void SimClient::post_streamed(std::string_view target, std::uint64_t size) {
  WEIR_CHECK(http2_ == nullptr);
  raw(fmt::format("POST {} HTTP/1.1\r\nHost: example.com\r\nContent-Length: {}\r\n\r\n", target, size), "POST");
  stream_body(size);
}

void SimClient::compare_bodies() {
  WEIR_CHECK(http2_ == nullptr);
  reader_.keep_bodies = false;
}

void SimClient::raw(std::string_view bytes, std::string_view method) {
  if (!method.empty()) reader_.expect(std::string(method));
  send(bytes);
}

void SimClient::send(std::string_view bytes) {
  if (http2_ == nullptr) return Peer::send(bytes);
  http2_->request_bytes(bytes);
  Peer::send(http2_->take_output());
}

void SimClient::end_tunnel() {
  if (http2_ == nullptr) return half_close();
  http2_->end_tunnel();
  Peer::send(http2_->take_output());
}

void SimClient::on_bytes(std::string_view bytes) {
  last_byte_at_ = outside().world().now();
  received_bytes_ += bytes.size();
  if (reader_.keep_bodies) received_.append(bytes);
  if (http2_ == nullptr) {
    reader_.feed(bytes);
  } else {
    http2_->feed(bytes);
    Peer::send(http2_->take_output());
  }
  note_break();
  if (on_progress) on_progress();
}

void SimClient::note_break() {
  if (reader_.broken() && broken_at_ == TimePoint{}) broken_at_ = outside().world().now();
}

bool SimClient::tunnel_ended() const {
  return http2_ == nullptr ? got_fin() : http2_->tunnel_ended();
}

bool SimClient::anything_said() const {
  return http2_ == nullptr
             ? received_bytes_ > 0
             : reader_.broken() || !reader_.messages.empty() || !reader_.interim.empty() || reader_.current.status != 0;
}

std::size_t SimClient::unsent() const {
  return Peer::unsent() + (http2_ == nullptr ? 0 : http2_->unsent());
}

void SimClient::on_ended() {
  ended_at_ = outside().world().now();
  if (http2_ == nullptr) {
    reader_.end(got_reset());
  } else if (reader_.unanswered() > 0) {
    reader_.give_up("the connection ended inside a message");
  }
  note_break();
}

}  // namespace weir::sim
