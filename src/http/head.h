#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/field.h"

namespace weir::http {

// One field line. Points into memory that the head's owner keeps: the receive scratch right after parsing, the stream's
// arena after adopt().
struct Field {
  const char* name_data;
  const char* value_data;
  std::uint32_t value_size;
  std::uint16_t name_size;
  FieldId id;
  bool removed : 1;        // stays in its place but is not sent on
  bool never_indexed : 1;  // HTTP/2 must not put it into a table (RFC 7541 7.1.3), because the sender said so

  std::string_view name() const { return {name_data, name_size}; }
  std::string_view value() const { return {value_data, value_size}; }
};

// Fields in the order received. The array grows in the arena. Not owning; trivially forgotten with its arena.
class FieldList {
 public:
  FieldList() = default;
  explicit FieldList(Arena& arena) : arena_(&arena) {}

  Field* begin() { return fields_; }
  Field* end() { return fields_ + size_; }
  const Field* begin() const { return fields_; }
  const Field* end() const { return fields_ + size_; }
  std::uint32_t size() const { return size_; }

  // The text must live as long as the list; see add_copy(). `id` is field_id(name). A name has at most 65,535 bytes.
  void add(std::string_view name, std::string_view value, FieldId id, bool never_indexed = false) {
    if (size_ == capacity_) grow();
    fields_[size_++] = {name.data(),
                        value.data(),
                        static_cast<std::uint32_t>(value.size()),
                        static_cast<std::uint16_t>(name.size()),
                        id,
                        false,
                        never_indexed};
    present_ |= bit(id);
  }
  // Copies both to the arena (a known name is not copied, and is in lower case from then on).
  void add_copy(std::string_view name, std::string_view value, bool never_indexed = false);

  // The first that is not removed, or null.
  const Field* find(FieldId id) const;
  const Field* find(std::string_view name) const;
  // Those that are not removed.
  std::uint32_t count(FieldId id) const;
  bool has(FieldId id) const { return (present_ & bit(id)) != 0 && find(id) != nullptr; }

  // Marks all of them removed. remove(FieldId::other) does nothing.
  void remove(FieldId id);
  void remove(std::string_view name);

  // Field ids other than `other` that were ever added; says quickly that one is absent.
  std::uint64_t present() const { return present_ & ~bit(FieldId::other); }
  static constexpr std::uint64_t bit(FieldId id) { return std::uint64_t{1} << static_cast<unsigned>(id); }

  Arena& arena() const { return *arena_; }

  // Pointers into `from` now point to the same place behind `to`: after the raw head was copied. Others stay.
  void rebase(std::string_view from, const char* to);
  // Forgets the fields and the array, whose arena may have been cleared.
  void clear() {
    fields_ = nullptr;
    size_ = capacity_ = 0;
    present_ = 0;
  }

 private:
  void grow();

  Arena* arena_ = nullptr;
  Field* fields_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint64_t present_ = 0;
};

enum class Method : std::uint8_t { get, head, post, put, delete_, connect, options, trace, patch, other };
std::string_view to_string(Method method);   // "GET"; "OTHER" for other
Method parse_method(std::string_view text);  // case-sensitive
// RFC 9110 9.2.2.
bool is_idempotent(Method method);

enum class Version : std::uint8_t { http_1_0, http_1_1, http_2 };
std::string_view to_string(Version version);  // "HTTP/1.1"

// How the end of a message's body is found (RFC 9112 6.3; for HTTP/2 by END_STREAM, which is `stream_end`).
enum class BodyKind : std::uint8_t { none, length, chunked, until_close, stream_end };

struct RequestHead {
  explicit RequestHead(Arena& arena) : fields(arena) {}

  // HTTP/1: all of the head's bytes, as received; what the others point into. HTTP/2: empty.
  std::string_view raw;
  std::string_view method_text;
  std::string_view target;     // as received
  std::string_view path;       // with query, origin-form: what goes to the backend ("/a?b"; "*" for OPTIONS *)
  std::string_view authority;  // host[:port], from an absolute-form target or else Host; may be empty in HTTP/1.0
  std::string_view scheme;     // of an absolute-form target or :scheme, else empty
  FieldList fields;
  std::uint64_t content_length = 0;  // for BodyKind::length
  Method method = Method::get;
  Version version = Version::http_1_1;
  BodyKind body = BodyKind::none;
  bool keep_alive = true;           // what the client's version and Connection ask for
  bool expect_continue = false;     // 100-continue, of a client that is not HTTP/1.0
  bool upgrade_websocket = false;   // a well-formed request for that upgrade (RFC 6455 4.1)
  bool path_never_indexed = false;  // as of a field

  // The raw head is copied to the arena of `fields`, and all that points into it points into the copy.
  void adopt();
  // As new. The arena is not cleared.
  void clear();
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : fields(arena) {}

  std::string_view raw;
  std::string_view reason;  // phrase, may be empty
  FieldList fields;
  std::uint64_t content_length = 0;
  std::uint16_t status = 0;
  Version version = Version::http_1_1;
  BodyKind body = BodyKind::none;
  bool keep_alive = true;
  std::int32_t keep_alive_timeout_s = -1;  // of "Keep-Alive: timeout=N"; -1 if not said

  bool has_body() const { return body != BodyKind::none && !(body == BodyKind::length && content_length == 0); }
  void adopt();
  void clear();
};

}  // namespace weir::http
