#include "tls/openssl.h"

#include <openssl/err.h>

#include <array>

namespace weir::tls {

std::string take_errors() {
  const char* data = nullptr;
  int flags = 0;
  const unsigned long error = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
  if (error == 0) return {};
  std::string text;
  if (const char* reason = ERR_reason_error_string(error)) {
    text = reason;
  } else {
    std::array<char, 128> buffer;
    ERR_error_string_n(error, buffer.data(), buffer.size());
    text = buffer.data();
  }
  if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') text += std::string(" (") + data + ")";
  ERR_clear_error();
  return text;
}

}  // namespace weir::tls
