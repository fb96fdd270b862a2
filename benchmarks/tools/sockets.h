#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::lab {

std::uint64_t now_ns();
// User and system time of this process so far.
double processor_seconds();

// A non-blocking socket on its way to 127.0.0.1:port; -1 with errno. `number` chooses one of 100 source addresses, so
// that more connections fit than one address has ports.
int start_connect(std::uint16_t port, std::uint32_t number);
// Whether a connect that was started has come through. To be asked once the socket is writable.
bool is_connected(int fd);

enum class Io : std::uint8_t { ok, would_block, closed };

// Writes the front of `output` and erases what was taken.
Io write_some(int fd, std::string& output);
// Reads once, into a buffer of this thread; `bytes` is good until the next call.
Io read_some(int fd, std::string_view& bytes);

}  // namespace weir::lab
