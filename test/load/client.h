#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "load/harness.h"

namespace weir::load {

// What a load of requests came to.
struct LoadResult {
  std::uint64_t answered = 0;             // complete answers
  std::map<int, std::uint64_t> statuses;  // of them
  std::uint64_t broken = 0;               // no answer, or a part of one
  std::chrono::microseconds longest{};
  std::uint64_t failed() const {
    const auto good = statuses.find(200);
    return answered + broken - (good == statuses.end() ? 0 : good->second);
  }
};

struct LoadOptions {
  std::uint16_t port = 0;
  std::size_t connections = 64;
  std::uint64_t requests = 0;  // all together
  // The request of a number from 0, appended to `out`; null: a GET with ten headers.
  std::function<void(std::uint64_t number, std::string& out)> make{};
  // Called between turns with how many were answered; false ends the load early, with what runs finished.
  std::function<bool(std::uint64_t answered)> go_on{};
  // Each connection in turn gets a share, so that all have sent as many (within one).
  bool even = false;
};

// A closed loop: every connection sends its next request when the answer to its last is complete. One thread, epoll. A
// connection that says "connection: close" or breaks is opened anew. Throws when nothing moves for kPatience.
LoadResult run_load(const LoadOptions& options);

// Appends a GET as a browser sends it, to `host`.
void append_get(std::string& out, std::string_view path, std::string_view host = "www.example.com");
// A POST of about 4 KiB in eight chunks.
void append_chunked_post(std::string& out, std::string_view path, std::string_view host = "www.example.com");

}  // namespace weir::load
