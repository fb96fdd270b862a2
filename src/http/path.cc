#include "http/path.h"

#include "base/assert.h"
#include "http/scan.h"

namespace weir::http {
namespace {

constexpr CharClass kNotSpecialInPath = CharClass{}.with_range(0, 0x7f).with_high().without("%?");

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Writes `path` to `out` with its percent-encodings in normal form, and returns the size.
std::size_t normalise_encodings(std::string_view path, char* out) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    const int high = c == '%' && i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(path[i + 2]) : -1;
    if (low < 0) {
      out[size++] = c;
      continue;
    }
    i += 2;
    const char decoded = static_cast<char>(high * 16 + low);
    if (kUnreservedChars.contains(decoded)) {
      out[size++] = decoded;
    } else {
      out[size++] = '%';
      out[size++] = "0123456789ABCDEF"[high];
      out[size++] = "0123456789ABCDEF"[low];
    }
  }
  return size;
}

// Of a path that begins with a slash; in place or to another place. Returns the size.
std::size_t remove_dot_segments(std::string_view path, char* out) {
  std::size_t size = 0;
  for (std::size_t at = 0; at < path.size();) {
    std::size_t next = path.find('/', at + 1);
    const bool last = next == std::string_view::npos;
    if (last) next = path.size();
    const std::string_view segment = path.substr(at + 1, next - at - 1);
    const bool up = segment == "..";
    if (up || segment == ".") {
      while (up && size > 0 && out[--size] != '/') {
      }
      if (last) out[size++] = '/';
    } else {
      for (std::size_t i = at; i < next; ++i) out[size++] = path[i];
    }
    at = next;
  }
  if (size == 0) out[size++] = '/';
  return size;
}

}  // namespace

NormalPath normalise_path(std::string_view target, std::span<char> scratch) {
  const char* begin = target.data();
  const char* end = begin + target.size();
  const char* special = find_not_in<kNotSpecialInPath>(begin, end);
  const bool encoded = special != end && *special == '%';
  const std::size_t mark = encoded ? target.find('?') : static_cast<std::size_t>(special - begin);
  NormalPath result{target.substr(0, mark), {}};
  if (result.path.size() < target.size()) result.query = target.substr(result.path.size() + 1);
  if (!result.path.starts_with('/')) return result;
  if (!encoded && result.path.find("/.") == std::string_view::npos) return result;
  WEIR_ASSERT(scratch.size() >= result.path.size());
  std::size_t size = normalise_encodings(result.path, scratch.data());
  size = remove_dot_segments({scratch.data(), size}, scratch.data());
  result.path = {scratch.data(), size};
  return result;
}

}  // namespace weir::http
