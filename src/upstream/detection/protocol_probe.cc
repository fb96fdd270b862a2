#include "upstream/detection/protocol_probe.h"

#include <string_view>

#include "http/http2/frame.h"
#include "http/http2/session.h"

namespace weir::detection {
namespace {

using http2::FrameHeader;
using http2::FrameType;
using http2::kFrameHeaderBytes;
using Stage = ProbeConnection::Stage;

// The preface and empty SETTINGS, all that a client has to say first (RFC 9113 3.4).
std::string_view greeting() {
  static constexpr char kBytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
  static_assert(sizeof kBytes == http2::Session::kPreface.size() + kFrameHeaderBytes);
  return {kBytes, sizeof kBytes};
}

// Longer SETTINGS are nothing that a server says.
constexpr std::uint32_t kSettingsBytesMax = 1024;

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

std::optional<ProbeResult> ProtocolProbe::start(ReadinessHandler& handler) {
  return connection_.start(handler) ? std::nullopt : std::optional(unconnected());
}

std::optional<ProbeResult> ProtocolProbe::advance(Readiness readiness) {
  Transport& io = connection_.io();
  if (connection_.stage() != Stage::ready) {
    const Stage stage = connection_.advance();
    if (stage == Stage::failed) return unconnected();
    if (stage != Stage::ready) return std::nullopt;
    if (io.secure_layer() != nullptr && io.secure_layer()->protocol() != "h2") return ProbeResult{Verdict::http1};
    io.output().append(greeting());
    readiness.bits |= Readiness::readable;
  }
  // What it said before it closed may still tell.
  std::size_t sent = 0;
  const bool failed = io.flush(sent) == FlushResult::failed;
  return failed || readiness.can_read() ? receive() : std::nullopt;
}

ProbeResult ProtocolProbe::late() const {
  return connection_.stage() == Stage::ready ? without_settings() : ProbeResult{.verdict = Verdict::down};
}

ProbeResult ProtocolProbe::unconnected() const {
  const ProbeConnection::Problem& problem = connection_.problem();
  if (problem.kind == ProbeConnection::Problem::Kind::own_trouble) return {.verdict = Verdict::inconclusive};
  const bool tls = problem.kind == ProbeConnection::Problem::Kind::tls;
  return {.verdict = Verdict::down, .tls_failure = tls ? problem.text : std::string()};
}

std::optional<ProbeResult> ProtocolProbe::receive() {
  constexpr std::size_t kAtMost = kFrameHeaderBytes + kSettingsBytesMax;
  ReadScratch scratch;
  for (;;) {
    const Transport::Input input = connection_.io().read(scratch, kAtMost);
    received_ += input.bytes;
    if (auto found = look()) return found;
    if (input.status == IoStatus::end || input.status == IoStatus::failed) return without_settings();
    // A FIN behind what came gives no further edge: it is looked for.
    if (input.status == IoStatus::would_block && input.drained) return std::nullopt;
  }
}

// What ALPN has chosen stands, whatever follows.
ProbeResult ProtocolProbe::without_settings() const {
  return {.verdict = connection_.io().secure_layer() != nullptr ? Verdict::http2 : Verdict::http1};
}

std::optional<ProbeResult> ProtocolProbe::look() const {
  if (!may_be_settings(received_)) return without_settings();
  if (received_.size() < kFrameHeaderBytes) return std::nullopt;
  const std::size_t length = http2::read_frame_header(received_.data()).length;
  if (received_.size() < kFrameHeaderBytes + length) return std::nullopt;
  return read_settings(std::string_view(received_).substr(kFrameHeaderBytes, length));
}

}  // namespace weir::detection
