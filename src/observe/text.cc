#include "observe/text.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace weir::observe {
namespace {

struct Calendar {
  unsigned year, month, day, hour, minute, second, microsecond;
};

Calendar calendar_of(WallTime time) {
  using namespace std::chrono;
  const std::int64_t nanoseconds = time.time_since_epoch().count();  // reaches from 1677 to 2262
  const std::int64_t in_second = (nanoseconds % 1'000'000'000 + 1'000'000'000) % 1'000'000'000;
  const sys_seconds second(seconds(nanoseconds / 1'000'000'000 - (nanoseconds % 1'000'000'000 < 0 ? 1 : 0)));
  const auto day = floor<days>(second);
  const year_month_day date(day);
  const auto in_day = static_cast<unsigned>((second - day).count());
  return {.year = static_cast<unsigned>(static_cast<int>(date.year())),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .hour = in_day / 3600,
          .minute = in_day / 60 % 60,
          .second = in_day % 60,
          .microsecond = static_cast<unsigned>(in_second / 1000)};
}

void put(char* target, unsigned number, std::size_t digits) {
  while (digits-- > 0) {
    target[digits] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

bool continuation(std::string_view text, std::size_t index, unsigned char low = 0x80, unsigned char high = 0xBF) {
  if (index >= text.size()) return false;
  const auto byte = static_cast<unsigned char>(text[index]);
  return byte >= low && byte <= high;
}

constexpr char kHex[] = "0123456789abcdef";

void append_json_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
  out.append(escape, sizeof escape);
}

}  // namespace

void append_seconds(std::string& out, std::uint64_t nanoseconds, bool always_point) {
  append_number(out, nanoseconds / 1'000'000'000);
  const auto fraction = static_cast<unsigned>(nanoseconds % 1'000'000'000);
  if (fraction == 0) {
    if (always_point) out += ".0";
    return;
  }
  char digits[10] = {'.'};
  put(digits + 1, fraction, 9);
  std::size_t size = 10;
  while (digits[size - 1] == '0') --size;
  out.append(digits, size);
}

std::size_t utf8_sequence_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return continuation(text, 1) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;   // no overlong form
    const unsigned char high = first == 0xED ? 0x9F : 0xBF;  // no surrogate
    return continuation(text, 1, low, high) && continuation(text, 2) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;  // nothing above U+10FFFF
  return continuation(text, 1, low, high) && continuation(text, 2) && continuation(text, 3) ? 4 : 0;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;  // where the bytes not yet appended begin
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
      ++i;
      continue;
    }
    const std::size_t sequence = byte < 0x80 ? 0 : utf8_sequence_size(text.substr(i));
    if (sequence > 0) {
      i += sequence;
      continue;
    }
    out.append(text, plain, i - plain);
    if (byte < 0x80) {
      append_json_escape(out, byte);
    } else {
      out += kReplacementCharacter;
    }
    plain = ++i;
  }
  out.append(text, plain);
  out += '"';
}

void append_rfc3339(std::string& out, WallTime time) {
  const Calendar at = calendar_of(time);
  char text[] = "0000-00-00T00:00:00.000000Z";
  put(text, at.year, 4);
  put(text + 5, at.month, 2);
  put(text + 8, at.day, 2);
  put(text + 11, at.hour, 2);
  put(text + 14, at.minute, 2);
  put(text + 17, at.second, 2);
  put(text + 20, at.microsecond, 6);
  out.append(text, sizeof text - 1);
}

void append_clf_time(std::string& out, WallTime time) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Calendar at = calendar_of(time);
  char text[] = "00/xxx/0000:00:00:00 +0000";
  put(text, at.day, 2);
  std::copy_n(kMonths[at.month - 1].data(), 3, text + 3);
  put(text + 7, at.year, 4);
  put(text + 12, at.hour, 2);
  put(text + 15, at.minute, 2);
  put(text + 18, at.second, 2);
  out.append(text, sizeof text - 1);
}

}  // namespace weir::observe
