#include "admin/message.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "admin/json.h"
#include "http/http1/encoder.h"

namespace weir::admin {
namespace {

// RFC 9110 5.6.7: IMF-fixdate.
std::string http_date(WallTime now) {
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(now - day));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), time.hours().count(), time.minutes().count(), time.seconds().count());
}

}  // namespace

Reply json_reply(std::uint16_t status, std::string json) {
  json += '\n';
  return Reply{.status = status, .body = std::move(json)};
}

Reply error_reply(std::uint16_t status, std::string_view message) { return json_reply(status, error_json(message)); }

Reply text_reply(std::uint16_t status, std::string text) {
  return Reply{.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

std::string render_head(const Reply& reply, WallTime now, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\ndate: {}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
                                 reply.status, http1::reason_phrase(reply.status), http_date(now));
  if (reply.status != 204) {
    const std::string_view type = reply.own_content_type.empty() ? reply.content_type : reply.own_content_type;
    head += fmt::format("content-type: {}\r\ncontent-length: {}\r\n", type, reply.body.size());
  }
  if (!reply.allow.empty()) head += fmt::format("allow: {}\r\n", reply.allow);
  if (reply.challenge) head += "www-authenticate: Bearer\r\n";
  head += keep_alive ? "connection: keep-alive\r\n\r\n" : "connection: close\r\n\r\n";
  return head;
}

}  // namespace weir::admin
