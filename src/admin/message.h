#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "http/head.h"
#include "net/address.h"

namespace weir::admin {

// A request to the admin port, complete with its body, free of the connection it came on.
struct Request {
  http::Method method = http::Method::get;  // HEAD came in as get; see head_only
  std::string path;                         // without the query, not decoded
  std::string host;                         // what Host (or an absolute target) said; empty if nothing did
  std::optional<std::string> origin, authorization, content_type, accept;
  bool ambiguous = false;  // one of these came more than once
  bool head_only = false;
  std::string body;
  IpAddress peer;       // none on a unix socket
  SocketAddress local;  // the admin port's end of the connection
};

struct Reply {
  std::uint16_t status = 200;
  std::string_view content_type = "application/json";
  std::string body{};
  std::string allow{};             // for 405
  std::string own_content_type{};  // if not empty, instead of content_type
  bool challenge = false;          // 401: asks for a bearer token
};
using SendReply = std::move_only_function<void(Reply)>;

Reply json_reply(std::uint16_t status, std::string json);
Reply error_reply(std::uint16_t status, std::string_view message);  // {"error": message}
Reply text_reply(std::uint16_t status, std::string text);

// The head of an answer, with content-length and date. `keep_alive` goes out as the connection field, which an HTTP/1.0
// client needs to be told.
std::string render_head(const Reply& reply, WallTime now, bool keep_alive);

}  // namespace weir::admin
