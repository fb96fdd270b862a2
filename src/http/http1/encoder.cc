#include "http/http1/encoder.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

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
  if (field.value_data != colon + 2 || std::memcmp(colon, ": ", 2) != 0 || std::memcmp(value_end, "\r\n", 2) != 0)
    return {};
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

struct ReasonPhrase {
  std::uint16_t status;
  std::string_view text;
};

// By status: see reason_phrase().
constexpr ReasonPhrase kReasonPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

}  // namespace

void write_request_head(Buffer& out, const http::RequestHead& head) {
  constexpr std::string_view kVersion = " HTTP/1.1\r\n";
  Writer writer(out,
                head.method_text.size() + 1 + head.path.size() + kVersion.size() + fields_size_max(head.fields) + 2);
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
  const auto* entry =
      std::lower_bound(std::begin(kReasonPhrases), std::end(kReasonPhrases), status,
                       [](const ReasonPhrase& phrase, std::uint16_t wanted) { return phrase.status < wanted; });
  return entry != std::end(kReasonPhrases) && entry->status == status ? entry->text : std::string_view{};
}

}  // namespace weir::http1
