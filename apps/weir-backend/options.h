#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/address.h"

namespace weir::backend {

// What is spoken in the clear: `any` tells by a connection's first bytes.
enum class Protocol : std::uint8_t { any, http1, http2 };

struct Options {
  SocketAddress listen;
  std::string name;  // empty: backend-PORT
  Protocol protocol = Protocol::any;
  std::uint32_t base_delay_ms = 0;
  std::uint32_t jitter_ms = 0;  // up to this much on top, uniformly
  std::uint32_t fail_percent = 0;
};

// What the environment says, by name; null if it is not set. getenv in the program, a table in tests.
using Environment = const char* (*)(const char* name);

// Delays and failures, and the name unless it is given already.
Result<void> read_environment(Options& options, Environment environment);

// What --workers says: a number from 1 to 256, or `automatic` for "auto". Nothing if it is neither.
std::optional<std::size_t> parse_workers(std::string_view text, std::size_t automatic);

// The name after binding: `options.name`, or backend-PORT.
std::string final_name(const Options& options, const SocketAddress& bound);

}  // namespace weir::backend
