#include "http/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <cstring>
#include <span>
#include <string>

namespace weir::http {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// `to` has exactly the place that the text takes. EVP_EncodeBlock writes a NUL behind it.
template <std::size_t kTextBytes>
std::array<char, kTextBytes> base64(std::span<const unsigned char> bytes) {
  std::array<unsigned char, kTextBytes + 1> text;
  EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  std::array<char, kTextBytes> result;
  std::memcpy(result.data(), text.data(), kTextBytes);
  return result;
}

}  // namespace

std::array<char, kWebsocketAcceptBytes> websocket_accept(std::string_view key) {
  std::string text(key);
  text += kGuid;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64<kWebsocketAcceptBytes>(digest);
}

bool is_websocket_accept(std::string_view accept, std::string_view key) {
  const auto wanted = websocket_accept(key);
  return accept == std::string_view(wanted.data(), wanted.size());
}

std::array<char, kWebsocketKeyBytes> websocket_key(std::uint64_t random_high, std::uint64_t random_low) {
  std::array<unsigned char, 16> bytes;
  std::memcpy(bytes.data(), &random_high, 8);
  std::memcpy(bytes.data() + 8, &random_low, 8);
  return base64<kWebsocketKeyBytes>(bytes);
}

}  // namespace weir::http
