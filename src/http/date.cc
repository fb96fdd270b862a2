#include "http/date.h"

#include <chrono>
#include <cstring>

namespace weir::http {
namespace {

using std::chrono::days;
using std::chrono::floor;

char* put_number(char* out, unsigned value, unsigned digits) {
  for (unsigned i = digits; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
  return out + digits;
}

char* put_text(char* out, const char* text, std::size_t size) {
  std::memcpy(out, text, size);
  return out + size;
}

struct Calendar {
  unsigned year, month, day, weekday, hour, minute, second;
};

Calendar calendar_at(std::int64_t unix_second) {
  const std::chrono::sys_seconds time{std::chrono::seconds(unix_second)};
  const auto day = floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return {.year = static_cast<unsigned>(static_cast<int>(date.year())),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .weekday = std::chrono::weekday(day).c_encoding(),
          .hour = static_cast<unsigned>(clock.hours().count()),
          .minute = static_cast<unsigned>(clock.minutes().count()),
          .second = static_cast<unsigned>(clock.seconds().count())};
}

std::int64_t unix_second(WallTime time) {
  return floor<std::chrono::seconds>(time).time_since_epoch().count();
}

}  // namespace

std::string_view DateCache::at(WallTime now) {
  const std::int64_t second = unix_second(now);
  if (second == second_) return {text_, kSize};
  second_ = second;
  const Calendar c = calendar_at(second);
  char* p = put_text(text_, &"SunMonTueWedThuFriSat"[c.weekday * 3], 3);
  p = put_text(p, ", ", 2);
  p = put_number(p, c.day, 2);
  *p++ = ' ';
  p = put_text(p, &"JanFebMarAprMayJunJulAugSepOctNovDec"[(c.month - 1) * 3], 3);
  *p++ = ' ';
  p = put_number(p, c.year, 4);
  *p++ = ' ';
  p = put_number(p, c.hour, 2);
  *p++ = ':';
  p = put_number(p, c.minute, 2);
  *p++ = ':';
  p = put_number(p, c.second, 2);
  put_text(p, " GMT", 4);
  return {text_, kSize};
}

void TimestampCache::write(WallTime time, char* out) {
  const std::int64_t second = unix_second(time);
  if (second != second_) {
    second_ = second;
    const Calendar c = calendar_at(second);
    char* p = put_number(text_, c.year, 4);
    *p++ = '-';
    p = put_number(p, c.month, 2);
    *p++ = '-';
    p = put_number(p, c.day, 2);
    *p++ = 'T';
    p = put_number(p, c.hour, 2);
    *p++ = ':';
    p = put_number(p, c.minute, 2);
    *p++ = ':';
    p = put_number(p, c.second, 2);
    put_text(p, ".000000Z", 8);
  }
  const auto fraction = floor<std::chrono::microseconds>(time.time_since_epoch() - std::chrono::seconds(second));
  std::memcpy(out, text_, kSize);
  put_number(out + 20, static_cast<unsigned>(fraction.count()), 6);
}

std::size_t format_rfc3339_us(WallTime time, char* out) {
  TimestampCache().write(time, out);
  return TimestampCache::kSize;
}

}  // namespace weir::http
