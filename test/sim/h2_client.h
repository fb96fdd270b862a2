#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sim/h2_engine.h"
#include "sim/peer.h"

namespace weir::sim {

// A client with one HTTP/2 connection, over TLS or in the clear with prior knowledge, and `opening` before it. Every
// call sends at once what it makes.
class SimH2Client final : public Peer {
 public:
  SimH2Client(Outside& outside, const SocketAddress& proxy, const H2Options& options = {},
              std::string_view opening = {}, const PeerTlsSource* tls = nullptr);

  // A request without a body.
  std::int32_t get(std::string_view target, const Message::Fields& fields = {});
  // Another one without a body.
  std::int32_t bodiless(std::string_view method, std::string_view target, const Message::Fields& fields = {});
  // A request whose body follows.
  std::int32_t open(std::string_view method, std::string_view target, const Message::Fields& fields = {});
  std::int32_t post(std::string_view target, std::string_view body, const Message::Fields& fields = {});
  std::int32_t post_streamed(std::string_view target, std::uint64_t size);
  // RFC 8441.
  std::int32_t websocket(std::string_view target, const Message::Fields& fields = {});
  void body(std::int32_t stream, std::string_view bytes);
  void end(std::int32_t stream, const Message::Fields& trailers = {});
  void reset_stream(std::int32_t stream, std::uint32_t code = kH2Cancel);
  void go_away();
  void ping();
  void open_window(std::int32_t stream);
  void widen(std::int32_t stream, std::uint32_t bytes);
  // Bytes that no HTTP/2 library would send.
  void raw(std::string_view bytes) { send(bytes); }

  H2Engine& engine() { return engine_; }
  const H2Engine& engine() const { return engine_; }
  const H2Answer& answer(std::int32_t stream) const { return engine_.answer(stream); }
  std::size_t complete_answers() const;
  // The proxy has turned the connection away before it could know what is spoken.
  bool refused() const { return refused_; }
  TimePoint last_byte_at() const { return last_byte_at_; }
  TimePoint ended_at() const { return ended_at_; }
  std::uint64_t received_bytes() const { return received_bytes_; }
  // Called when bytes have come. May send, must not destroy.
  std::function<void()> on_progress;

 private:
  void on_bytes(std::string_view bytes) override;
  void on_ended() override;
  void write();

  H2Engine engine_;
  std::uint64_t received_bytes_ = 0;
  bool refused_ = false;
  TimePoint last_byte_at_{};
  TimePoint ended_at_{};
};

// A frame by hand.
std::string h2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
// A field block of literals that no table remembers.
std::string h2_block(const Message::Fields& fields);
inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace weir::sim
