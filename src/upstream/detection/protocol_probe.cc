#include "upstream/detection/protocol_probe.h"

#include <cerrno>
#include <string_view>

#include "http/http2/frame.h"
#include "http/http2/session.h"
#include "tls/client_context.h"

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

ProtocolProbe::ProtocolProbe(EventLoop& loop, const Approach& approach) : approach_(approach), io_(loop) {}

std::optional<ProbeResult> ProtocolProbe::start(ReadinessHandler& handler) {
  Engine& engine = io_.loop().engine();
  const auto socket = engine.connect(approach_.address);
  if (!socket) return ProbeResult{.verdict = own_trouble(socket.error().code) ? Verdict::inconclusive : Verdict::down};
  io_.open(*socket);
  if (!engine.watch(*socket, handler)) return ProbeResult{.verdict = Verdict::inconclusive};
  return std::nullopt;
}

std::optional<ProbeResult> ProtocolProbe::advance(Readiness readiness) {
  if (phase_ == Phase::connecting) {
    const int error = io_.loop().engine().connect_error(io_.socket());
    if (error == EINPROGRESS) return std::nullopt;
    if (error != 0) return ProbeResult{.verdict = own_trouble(error) ? Verdict::inconclusive : Verdict::down};
    if (auto result = connected()) return result;
  }
  std::size_t sent = 0;
  if (phase_ == Phase::handshake) {
    if (io_.unsent() > 0) static_cast<void>(io_.flush(sent));
    if (auto result = shake_hands()) return result;
    if (phase_ == Phase::handshake) return std::nullopt;
    // What came behind the handshake has given its edge.
    readiness.bits |= Readiness::readable;
  }
  // What it said before it closed may still tell.
  const bool failed = io_.flush(sent) == FlushResult::failed;
  return failed || readiness.can_read() ? receive() : std::nullopt;
}

ProbeResult ProtocolProbe::late() const {
  return phase_ == Phase::listening ? without_settings() : ProbeResult{.verdict = Verdict::down};
}

std::optional<ProbeResult> ProtocolProbe::connected() {
  if (approach_.proxy_protocol) {
    std::array<char, kProxyWrittenBytesMax> room;
    io_.output().append(write_proxy_header(*approach_.proxy_protocol, {}, room));
  }
  if (approach_.tls == nullptr) {
    greet();
    return std::nullopt;
  }
  // The header goes in the clear. A connection that is new takes it whole.
  std::size_t sent = 0;
  if (io_.flush(sent) != FlushResult::done) return ProbeResult{.verdict = Verdict::down};
  auto layer = approach_.tls->connect(io_.loop().buffers(), approach_.tls_host, nullptr);
  if (layer == nullptr) return ProbeResult{.verdict = Verdict::inconclusive};
  io_.secure(std::move(layer));
  phase_ = Phase::handshake;
  return std::nullopt;
}

std::optional<ProbeResult> ProtocolProbe::shake_hands() {
  ReadScratch scratch;
  SecureLayer::Handshake step{SecureLayer::Handshake::Status::waiting};
  do {
    step = io_.handshake(scratch);
  } while (step.status == SecureLayer::Handshake::Status::waiting && !step.drained);
  switch (step.status) {
    case SecureLayer::Handshake::Status::waiting:
      return std::nullopt;
    case SecureLayer::Handshake::Status::failed:
      return ProbeResult{.verdict = Verdict::down, .tls_failure = io_.secure_layer()->failure_text()};
    case SecureLayer::Handshake::Status::done:
      break;
  }
  if (io_.secure_layer()->protocol() != "h2") return ProbeResult{.verdict = Verdict::http1};
  greet();
  return std::nullopt;
}

void ProtocolProbe::greet() {
  io_.output().append(greeting());
  phase_ = Phase::listening;
}

std::optional<ProbeResult> ProtocolProbe::receive() {
  constexpr std::size_t kAtMost = kFrameHeaderBytes + kSettingsBytesMax;
  ReadScratch scratch;
  for (;;) {
    const Transport::Input input = io_.read(scratch, kAtMost);
    received_ += input.bytes;
    if (auto found = look()) return found;
    if (input.status == IoStatus::end || input.status == IoStatus::failed) return without_settings();
    if (input.drained) return std::nullopt;
  }
}

// What ALPN has chosen stands, whatever follows.
ProbeResult ProtocolProbe::without_settings() const {
  return {.verdict = io_.secure_layer() != nullptr ? Verdict::http2 : Verdict::http1};
}

std::optional<ProbeResult> ProtocolProbe::look() const {
  if (!may_be_settings(received_)) return without_settings();
  if (received_.size() < kFrameHeaderBytes) return std::nullopt;
  const std::size_t length = http2::read_frame_header(received_.data()).length;
  if (received_.size() < kFrameHeaderBytes + length) return std::nullopt;
  return read_settings(std::string_view(received_).substr(kFrameHeaderBytes, length));
}

}  // namespace weir::detection
