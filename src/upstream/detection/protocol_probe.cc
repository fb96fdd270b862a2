#include "upstream/detection/protocol_probe.h"

#include <cerrno>
#include <string_view>

#include "http/http2/frame.h"
#include "http/http2/session.h"

namespace weir::detection {
namespace {

using http2::FrameHeader;
using http2::FrameType;
using http2::kFrameHeaderBytes;

// The preface and empty SETTINGS, all that a client has to say first (RFC 9113 3.4).
std::string_view greeting() {
  static constexpr char kBytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
  static_assert(sizeof kBytes == http2::Session::kPreface.size() + kFrameHeaderBytes);
  return {kBytes, sizeof kBytes};
}

// Longer SETTINGS are nothing that a server says.
constexpr std::uint32_t kSettingsBytesMax = 1024;

bool own_trouble(int error) {
  return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM;
}

// Whether a server of HTTP/2 may have begun so, as far as it goes.
bool may_be_settings(std::string_view bytes) {
  // A length, the type, no ACK, stream 0.
  for (std::size_t i = 0; i < bytes.size() && i < kFrameHeaderBytes; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (i == 0 && byte != 0) return false;
    if (i == 3 && byte != static_cast<unsigned char>(FrameType::settings)) return false;
    if (i == 4 && (byte & http2::kFlagAck) != 0) return false;
    if (i == 5 && (byte & 0x7f) != 0) return false;
    if (i > 5 && byte != 0) return false;
  }
  if (bytes.size() < kFrameHeaderBytes) return true;
  const FrameHeader header = http2::read_frame_header(bytes.data());
  return header.length <= kSettingsBytesMax && header.length % http2::kSettingBytes == 0;
}

ProbeResult read_settings(std::string_view payload) {
  ProbeResult result{.verdict = Verdict::http2};
  for (; payload.size() >= http2::kSettingBytes; payload.remove_prefix(http2::kSettingBytes)) {
    const auto setting = static_cast<http2::Setting>(http2::read_u16(payload.data()));
    const std::uint32_t value = http2::read_u32(payload.data() + 2);
    if (setting == http2::Setting::max_concurrent_streams) result.streams_max = value;
    if (setting == http2::Setting::enable_connect_protocol) result.extended_connect = value == 1;
  }
  return result;
}

}  // namespace

ProtocolProbe::ProtocolProbe(EventLoop& loop, const SocketAddress& address, std::optional<ProxyVersion> proxy_protocol)
    : loop_(loop), address_(address) {
  if (proxy_protocol) {
    std::array<char, kProxyWrittenBytesMax> room;
    unsent_ = write_proxy_header(*proxy_protocol, {}, room);
  }
  unsent_ += greeting();
}

ProtocolProbe::~ProtocolProbe() {
  if (socket_ != kNoSocket) loop_.engine().close(socket_);
}

std::optional<ProbeResult> ProtocolProbe::start(ReadinessHandler& handler) {
  const auto socket = loop_.engine().connect(address_);
  if (!socket) return ProbeResult{.verdict = own_trouble(socket.error().code) ? Verdict::inconclusive : Verdict::down};
  socket_ = *socket;
  if (!loop_.engine().watch(socket_, handler)) return ProbeResult{.verdict = Verdict::inconclusive};
  return std::nullopt;
}

std::optional<ProbeResult> ProtocolProbe::advance(Readiness readiness) {
  if (!connected_) {
    const int error = loop_.engine().connect_error(socket_);
    if (error == EINPROGRESS) return std::nullopt;
    if (error != 0) return ProbeResult{.verdict = own_trouble(error) ? Verdict::inconclusive : Verdict::down};
    connected_ = true;
  }
  if (auto result = send()) return result;
  return readiness.can_read() ? receive() : std::nullopt;
}

ProbeResult ProtocolProbe::late() const {
  return {.verdict = connected_ ? Verdict::http1 : Verdict::down};
}

std::optional<ProbeResult> ProtocolProbe::send() {
  if (unsent_.empty()) return std::nullopt;
  const iovec piece{unsent_.data(), unsent_.size()};
  const IoResult result = loop_.engine().write(socket_, {&piece, 1}, false);
  // What it said before it closed may still tell.
  if (result.status == IoStatus::failed) return receive();
  unsent_.erase(0, result.bytes);
  return std::nullopt;
}

std::optional<ProbeResult> ProtocolProbe::receive() {
  std::array<char, 256> piece;
  for (;;) {
    const IoResult result = loop_.engine().read(socket_, piece);
    if (result.status == IoStatus::would_block) return std::nullopt;
    if (result.status != IoStatus::ok) return ProbeResult{.verdict = Verdict::http1};
    received_.append(piece.data(), result.bytes);
    if (auto found = look()) return found;
  }
}

std::optional<ProbeResult> ProtocolProbe::look() const {
  if (!may_be_settings(received_)) return ProbeResult{.verdict = Verdict::http1};
  if (received_.size() < kFrameHeaderBytes) return std::nullopt;
  const std::size_t length = http2::read_frame_header(received_.data()).length;
  if (received_.size() < kFrameHeaderBytes + length) return std::nullopt;
  return read_settings(std::string_view(received_).substr(kFrameHeaderBytes, length));
}

}  // namespace weir::detection
