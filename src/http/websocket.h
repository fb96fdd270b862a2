#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// What the opening handshakes of WebSocket over HTTP/1.1 (RFC 6455 4) and over HTTP/2 (RFC 8441) don't have in common,
// for a proxy that stands between the two. Pure.
namespace weir::http {

inline constexpr std::size_t kWebsocketAcceptBytes = 28;
inline constexpr std::size_t kWebsocketKeyBytes = 24;

// The Sec-WebSocket-Accept that answers this Sec-WebSocket-Key (RFC 6455 4.2.2).
std::array<char, kWebsocketAcceptBytes> websocket_accept(std::string_view key);
// Whether `accept` is what answers `key`.
bool is_websocket_accept(std::string_view accept, std::string_view key);
// A Sec-WebSocket-Key, made of 16 random bytes. They are no secret.
std::array<char, kWebsocketKeyBytes> websocket_key(std::uint64_t random_high, std::uint64_t random_low);

}  // namespace weir::http
