#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// Frames as they stand on the wire (RFC 9113 4, 6 and 7). Pure.
namespace weir::http2 {

// RFC 9113 7.
enum class ErrorCode : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};
// "PROTOCOL_ERROR"; "UNKNOWN" for a code that RFC 9113 doesn't have.
std::string_view to_string(ErrorCode code);

enum class FrameType : std::uint8_t {
  data = 0x0,
  headers = 0x1,
  priority = 0x2,
  rst_stream = 0x3,
  settings = 0x4,
  push_promise = 0x5,
  ping = 0x6,
  goaway = 0x7,
  window_update = 0x8,
  continuation = 0x9,
  priority_update = 0x10,  // RFC 9218 7.1
};

inline constexpr std::uint8_t kFlagEndStream = 0x1;
inline constexpr std::uint8_t kFlagAck = 0x1;
inline constexpr std::uint8_t kFlagEndHeaders = 0x4;
inline constexpr std::uint8_t kFlagPadded = 0x8;
inline constexpr std::uint8_t kFlagPriority = 0x20;

// RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1.
enum class Setting : std::uint16_t {
  header_table_size = 0x1,
  enable_push = 0x2,
  max_concurrent_streams = 0x3,
  initial_window_size = 0x4,
  max_frame_size = 0x5,
  max_header_list_size = 0x6,
  enable_connect_protocol = 0x8,
  no_rfc7540_priorities = 0x9,
};

inline constexpr std::size_t kFrameHeaderBytes = 9;
inline constexpr std::size_t kSettingBytes = 6;
inline constexpr std::uint32_t kFrameBytesMin = 16 * 1024;             // what SETTINGS_MAX_FRAME_SIZE may say
inline constexpr std::uint32_t kFrameBytesMax = 16 * 1024 * 1024 - 1;  // and at most
inline constexpr std::uint32_t kStreamIdMax = 0x7fffffff;
inline constexpr std::int64_t kWindowMax = 0x7fffffff;
inline constexpr std::int64_t kInitialWindow = 65535;  // of a connection, and of a stream before SETTINGS

struct FrameHeader {
  std::uint32_t length;  // of the payload, 24 bits
  std::uint32_t stream;  // 31 bits
  FrameType type;        // may be none of the enumerators
  std::uint8_t flags;

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

// Big-endian numbers.
inline std::uint32_t read_u32(const char* from) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}
inline std::uint16_t read_u16(const char* from) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}
inline void write_u32(char* to, std::uint32_t value) {
  to[0] = static_cast<char>(value >> 24);
  to[1] = static_cast<char>(value >> 16);
  to[2] = static_cast<char>(value >> 8);
  to[3] = static_cast<char>(value);
}
inline void write_u16(char* to, std::uint16_t value) {
  to[0] = static_cast<char>(value >> 8);
  to[1] = static_cast<char>(value);
}

// `from` and `to` have kFrameHeaderBytes bytes. The reserved bit is ignored.
inline FrameHeader read_frame_header(const char* from) {
  return {.length = read_u32(from) >> 8,
          .stream = read_u32(from + 5) & kStreamIdMax,
          .type = static_cast<FrameType>(from[3]),
          .flags = static_cast<std::uint8_t>(from[4])};
}
inline void write_frame_header(char* to, const FrameHeader& header) {
  write_u32(to, header.length << 8 | static_cast<std::uint32_t>(header.type));
  to[4] = static_cast<char>(header.flags);
  write_u32(to + 5, header.stream);
}

// How a server begins, whatever it was sent: with a SETTINGS frame (3.4), which these bytes tell. No answer of HTTP/1
// has a NUL in it.
inline constexpr std::size_t kSettingsBeginBytes = 4;
inline bool begins_with_settings(std::string_view bytes) {
  return bytes.size() >= kSettingsBeginBytes && bytes[0] == '\0' && bytes[3] == '\4';
}

}  // namespace weir::http2
