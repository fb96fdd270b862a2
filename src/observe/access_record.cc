#include "observe/access_record.h"

#include "observe/text.h"

namespace weir::observe {
namespace {

void json_text(std::string& out, std::string_view key, std::string_view value) {
  out += key;
  append_json_string(out, value);
}

void json_number(std::string& out, std::string_view key, std::uint64_t value) {
  out += key;
  append_number(out, value);
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out += '\\';
    switch (c) {
      case '"':
      case '\\':
        out += c;
        break;
      case '\b':
        out += 'b';
        break;
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      case '\v':
        out += 'v';
        break;
      default:
        out += 'x';
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text.empty() ? std::string_view("-") : text);
  out += '"';
}

// A field that stands without quotes must not hold the blank that separates fields.
void append_word(std::string& out, std::string_view text) {
  if (text.empty()) out += '-';
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t blank = std::min(text.find(' ', begin), text.size());
    append_escaped(out, text.substr(begin, blank - begin));
    if (blank < text.size()) out += "\\x20";
    begin = blank + 1;
  }
}

}  // namespace

void format_json(const AccessRecord& record, std::string& out) {
  out += "{\"time\":\"";
  append_rfc3339(out, record.time);
  json_text(out, "\",\"listener\":", record.listener);
  json_text(out, ",\"route\":", record.route);
  json_text(out, ",\"cluster\":", record.cluster);
  json_text(out, ",\"backend\":", record.backend);
  json_text(out, ",\"client\":", record.client);
  json_text(out, ",\"method\":", record.method);
  json_text(out, ",\"host\":", record.host);
  json_text(out, ",\"path\":", record.path);
  json_text(out, ",\"protocol\":", record.protocol);
  json_number(out, ",\"status\":", record.status);
  json_text(out, ",\"reason\":", record.reason);
  json_number(out, ",\"request_bytes\":", record.request_bytes);
  json_number(out, ",\"response_bytes\":", record.response_bytes);
  json_number(out, ",\"duration_us\":", record.duration_us);
  json_number(out, ",\"upstream_us\":", record.upstream_us);
  json_number(out, ",\"attempts\":", record.attempts);
  json_text(out, ",\"request_id\":", record.request_id);
  json_number(out, ",\"worker\":", record.worker);
  json_text(out, ",\"user_agent\":", record.user_agent);
  json_text(out, ",\"referer\":", record.referer);
  out += "}\n";
}

void format_combined(const AccessRecord& record, std::string& out) {
  append_word(out, record.client);
  out += " - - [";
  append_clf_time(out, record.time);
  out += "] \"";
  if (record.method.empty()) {
    out += '-';
  } else {
    append_escaped(out, record.method);
    out += ' ';
    append_escaped(out, record.path);
    out += ' ';
    append_escaped(out, record.protocol);
  }
  out += "\" ";
  append_number(out, record.status);
  out += ' ';
  if (record.response_bytes == 0) {
    out += '-';
  } else {
    append_number(out, record.response_bytes);
  }
  out += ' ';
  append_quoted(out, record.referer);
  out += ' ';
  append_quoted(out, record.user_agent);
  out += '\n';
}

void format_access(AccessLogFormat format, const AccessRecord& record, std::string& out) {
  format == AccessLogFormat::kJson ? format_json(record, out) : format_combined(record, out);
}

}  // namespace weir::observe
