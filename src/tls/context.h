#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tls/certificate.h"
#include "tls/openssl.h"

// What server and client contexts have in common.
namespace weir::tls {

enum class Version : std::uint8_t { tls1_2, tls1_3 };

// An SSL_CTX with versions, ciphers, curves and buffers as Weir wants them.
std::expected<ContextPtr, std::string> make_context(const SSL_METHOD* method, Version min_version);

// The certificate that this side shows.
std::expected<void, std::string> use_identity(SSL_CTX* context, const Identity& identity);

// Names as ALPN has them on the wire, each behind its length.
std::string encode_protocols(const std::vector<std::string>& protocols);

}  // namespace weir::tls
