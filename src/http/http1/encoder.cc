#include "http/http1/encoder.h"

#include <cstdint>
#include <cstring>

namespace weir::http1 {

using http::Field;

namespace {

// Collects pieces that lie behind each other in memory, so that most of a head is copied in a few pieces, straight into
// one reserved span or, if that would not do for all of it, through Buffer::append.
class Writer {
 public:
  Writer(Buffer& out, std::size_t size_max) : out_(out) {
    if (size_max <= kSliceCapacity) start_ = at_ = out.reserve(size_max).data();
  }

  void write(std::string_view text) {
    if (text.empty()) return;
    if (at_ == nullptr) return out_.append(text);
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

  void finish() {
    if (at_ != nullptr) out_.commit(static_cast<std::size_t>(at_ - start_));
  }

 private:
  Buffer& out_;
  char* start_ = nullptr;
  char* at_ = nullptr;
};

std::size_t fields_size_max(const http::FieldList& fields) {
  std::size_t size = 0;
  for (const Field& field : fields) size += std::size_t{field.name_size} + field.value_size + 4;
  return size;
}

// The line as received, if it lies in `raw` and reads "name: value CR LF" there; else empty.
std::string_view canonical_line(std::string_view raw, const Field& field) {
  const std::size_t size = std::size_t{field.name_size} + field.value_size + 4;
  const auto at = reinterpret_cast<std::uintptr_t>(field.name_data) - reinterpret_cast<std::uintptr_t>(raw.data());
  if (at >= raw.size() || raw.size() - at < size) return {};
  const char* colon = field.name_data + field.name_size;
  const char* value_end = field.value_data + field.value_size;
  if (field.value_data != colon + 2 || std::memcmp(colon, ": ", 2) != 0 || std::memcmp(value_end, "\r\n", 2) != 0) return {};
  return {field.name_data, size};
}

void write_fields(Writer& writer, std::string_view raw, const http::FieldList& fields) {
  std::string_view run;
  for (const Field& field : fields) {
    if (field.removed) continue;
    const std::string_view line = canonical_line(raw, field);
    if (!run.empty() && line.data() == run.data() + run.size()) {
      run = {run.data(), run.size() + line.size()};
      continue;
    }
    if (!run.empty()) writer.write(run);
    run = line;
    if (!line.empty()) continue;
    writer.write(field.name());
    writer.write(": ");
    writer.write(field.value());
    writer.write("\r\n");
  }
  if (!run.empty()) writer.write(run);
  writer.write("\r\n");
}

}  // namespace

void write_request_head(Buffer& out, const http::RequestHead& head) {
  constexpr std::string_view kVersion = " HTTP/1.1\r\n";
  Writer writer(out, head.method_text.size() + 1 + head.path.size() + kVersion.size() + fields_size_max(head.fields) + 2);
  writer.write(head.method_text);
  writer.write(" ");
  writer.write(head.path);
  writer.write(kVersion);
  write_fields(writer, head.raw, head.fields);
  writer.finish();
}

void write_response_head(Buffer& out, const http::ResponseHead& head) {
  const std::string_view reason = head.reason.empty() ? reason_phrase(head.status) : head.reason;
  char start[] = "HTTP/1.1 000 ";
  start[9] = static_cast<char>('0' + head.status / 100 % 10);
  start[10] = static_cast<char>('0' + head.status / 10 % 10);
  start[11] = static_cast<char>('0' + head.status % 10);
  const std::string_view status{start, sizeof start - 1};
  Writer writer(out, status.size() + reason.size() + 2 + fields_size_max(head.fields) + 2);
  writer.write(status);
  writer.write(reason);
  writer.write("\r\n");
  write_fields(writer, head.raw, head.fields);
  writer.finish();
}

void write_chunk(Buffer& out, std::string_view data) {
  char line[18];
  char* const end = line + sizeof line;
  char* p = end;
  *--p = '\n';
  *--p = '\r';
  for (std::size_t size = data.size(); size != 0; size >>= 4) *--p = "0123456789abcdef"[size & 15];
  out.append({p, static_cast<std::size_t>(end - p)});
  out.append(data);
  out.append("\r\n");
}

void write_last_chunk(Buffer& out, const http::FieldList* trailers) {
  if (trailers == nullptr || trailers->size() == 0) return out.append("0\r\n\r\n");
  Writer writer(out, 3 + fields_size_max(*trailers) + 2);
  writer.write("0\r\n");
  write_fields(writer, {}, *trailers);
  writer.finish();
}

std::string_view reason_phrase(std::uint16_t status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return {};
  }
}

}  // namespace weir::http1
