#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace weir::observe {

// One line of an access log. The texts belong to the caller and are only read during the call that gets the record; an
// empty one is "there is none".
struct AccessRecord {
  WallTime time{};  // when the request began
  std::string_view listener{};
  std::string_view route{};
  std::string_view cluster{};
  std::string_view backend{};
  std::string_view client{};  // the address, through trusted proxies
  std::string_view method{};
  std::string_view host{};
  std::string_view path{};      // with its query, as received
  std::string_view protocol{};  // HTTP/1.1
  std::string_view reason{};    // of a local reply or an abort
  std::string_view request_id{};
  std::string_view user_agent{};
  std::string_view referer{};
  std::uint64_t request_bytes = 0;   // of the body
  std::uint64_t response_bytes = 0;  // of the body
  std::uint64_t duration_us = 0;
  std::uint64_t upstream_us = 0;
  std::uint32_t attempts = 0;
  std::uint32_t worker = 0;
  std::uint16_t status = 0;  // 0: the client left before an answer
};

enum class AccessLogFormat : std::uint8_t { kJson, kCombined };

// Append one line with its line end. Pure: the same record gives the same bytes. Whatever the texts hold, the line is
// one line; JSON is valid JSON in UTF-8 (a byte that is not UTF-8 becomes U+FFFD), combined is printable ASCII escaped
// as Apache does it: \" \\ \n \r \t \b \v and \xHH, an empty text "-".
void format_json(const AccessRecord& record, std::string& out);
void format_combined(const AccessRecord& record, std::string& out);
void format_access(AccessLogFormat format, const AccessRecord& record, std::string& out);

}  // namespace weir::observe
