#include "admin/message.h"

#include <fmt/format.h>

#include "admin/json.h"
#include "http/date.h"
#include "http/http1/encoder.h"

namespace weir::admin {
Reply json_reply(std::uint16_t status, std::string json) {
  json += '\n';
  return Reply{.status = status, .body = std::move(json)};
}

Reply error_reply(std::uint16_t status, std::string_view message) {
  return json_reply(status, error_json(message));
}

Reply text_reply(std::uint16_t status, std::string text) {
  return Reply{.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

std::string render_head(const Reply& reply, WallTime now, bool keep_alive) {
  http::DateCache date;
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\ndate: {}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
                  reply.status, http1::reason_phrase(reply.status), date.at(now));
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
