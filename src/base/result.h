#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace weir {

// An error off the data path: a sentence for a person. `code` is an errno where one is behind it, else 0.
struct Error {
  std::string message;
  int code = 0;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string message, int code = 0) {
  return std::unexpected<Error>(Error{std::move(message), code});
}

}  // namespace weir
