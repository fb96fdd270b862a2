#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"
#include "config/units.h"

// Codecs (see schema.h) of single values.
namespace weir::config {

struct Leaf {
  static void leaves(LeafList& list) { list.add_leaf(); }
};

struct BoolValue : Leaf {
  static void read(Reader& reader, NodeId id, bool& out);
  static void write(JsonWriter& writer, bool value) { writer.boolean(value); }
};

// A value of strings; empty means that there is none.
struct TextLeaf : Leaf {
  static void write(JsonWriter& writer, const std::string& value) { writer.string(value); }
  static bool present(const std::string& value) { return !value.empty(); }
};

// The name of a listener, cluster, backend or route.
struct NameValue : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// A file relative to the configuration file, or "-".
struct PathValue : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// The path of a file that is read, relative to the configuration file.
struct FileValue : Leaf {
  static void read(Reader& reader, NodeId id, FileSpec& out);
  static void write(JsonWriter& writer, const FileSpec& value) { writer.string(value.path); }
  static bool present(const FileSpec& value) { return !value.path.empty(); }
};

// A secret: JSON has it masked, or as `${NAME}` if that is all the file says.
struct TokenValue : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
  static void write(JsonWriter& writer, const std::string&) { writer.string("***"); }
};

// Any text, the empty one too.
struct AnyText : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// host or *.host of a request.
struct HostPattern : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// host of a URL: a name or an IP address (IPv6 in brackets).
struct UrlHost : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// host[:port] for a Host field.
struct HostAndPort : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// A host name or an IP address.
struct HostName : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

// An absolute path of a URL.
struct UrlPath : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

struct MethodValue : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out);
};

struct ListenAddress : Leaf {
  static void read(Reader& reader, NodeId id, Endpoint& out);
  static void write(JsonWriter& writer, const Endpoint& value) { writer.string(to_string(value)); }
};

struct CidrValue : Leaf {
  static void read(Reader& reader, NodeId id, Cidr& out);
  static void write(JsonWriter& writer, const Cidr& value) { writer.string(to_string(value)); }
};

struct PercentageOrNone : Leaf {
  static void read(Reader& reader, NodeId id, std::uint32_t& out);
  static void write(JsonWriter& writer, std::uint32_t value);
};

struct StatusRanges : Leaf {
  static void read(Reader& reader, NodeId id, std::vector<StatusRange>& out);
  static void write(JsonWriter& writer, const std::vector<StatusRange>& value) {
    writer.string(format_status_ranges(value));
  }
};

struct ByteRate : Leaf {
  static void read(Reader& reader, NodeId id, std::uint64_t& out);
  static void write(JsonWriter& writer, std::uint64_t value);
};

// A count per second.
struct RateOrNone : Leaf {
  static void read(Reader& reader, NodeId id, std::uint64_t& out);
  static void write(JsonWriter& writer, std::uint64_t value);
};

enum class NoneAllowed : bool { kNo, kYes };
enum class ZeroAllowed : bool { kNo, kYes };

void read_duration(Reader& reader, NodeId id, NoneAllowed none, ZeroAllowed zero, Duration& out);
void read_size(Reader& reader, NodeId id, ZeroAllowed zero, std::uint64_t& out);
void read_count_or_none(Reader& reader, NodeId id, std::uint64_t& out);
void read_integer(Reader& reader, NodeId id, std::uint64_t lowest, std::uint64_t highest, std::uint64_t& out);

template <NoneAllowed kNone, ZeroAllowed kZero>
struct DurationLeaf : Leaf {
  static void read(Reader& reader, NodeId id, Duration& out) { read_duration(reader, id, kNone, kZero, out); }
  static void write(JsonWriter& writer, Duration value) { writer.string(format_duration(value)); }
};
using TimeoutOrNone = DurationLeaf<NoneAllowed::kYes, ZeroAllowed::kNo>;
using Interval = DurationLeaf<NoneAllowed::kNo, ZeroAllowed::kNo>;
using Delay = DurationLeaf<NoneAllowed::kNo, ZeroAllowed::kYes>;
using DelayOrNone = DurationLeaf<NoneAllowed::kYes, ZeroAllowed::kYes>;

template <ZeroAllowed kZero>
struct SizeLeaf : Leaf {
  static void read(Reader& reader, NodeId id, std::uint64_t& out) { read_size(reader, id, kZero, out); }
  static void write(JsonWriter& writer, std::uint64_t value) { writer.string(format_size(value)); }
};
using SizeOrNone = SizeLeaf<ZeroAllowed::kNo>;
using BodySizeOrNone = SizeLeaf<ZeroAllowed::kYes>;

struct CountOrNone : Leaf {
  static void read(Reader& reader, NodeId id, std::uint64_t& out) { read_count_or_none(reader, id, out); }
  static void write(JsonWriter& writer, std::uint64_t value) {
    if (value == kNoLimit) {
      writer.string("none");
    } else {
      writer.number(value);
    }
  }
};

// A whole number in a range, both ends included; 0 in a range that begins above it means "not set".
template <typename Number, std::uint64_t kLowest, std::uint64_t kHighest>
struct Integer : Leaf {
  static_assert(kHighest <= std::numeric_limits<Number>::max());
  static void read(Reader& reader, NodeId id, Number& out) {
    std::uint64_t value = out;
    read_integer(reader, id, kLowest, kHighest, value);
    out = static_cast<Number>(value);
  }
  static void write(JsonWriter& writer, Number value) { writer.number(value); }
  static bool present(Number value) { return value >= kLowest; }
};

// One word of an enumeration. A choice that is not built yet is refused as such.
template <typename Enum>
struct Choice {
  std::string_view text;
  Enum value{};
  bool is_built = true;
};
template <typename Enum>
constexpr Choice<Enum> choice_not_yet(std::string_view text) {
  return {text, {}, false};
}

// Reports a word that is none of those allowed.
void wrong_choice(Reader& reader, NodeId id, std::string_view text, std::span<const std::string_view> allowed);
void choice_not_built(Reader& reader, NodeId id, std::string_view text);

template <typename Enum, const auto& kChoices>
struct OneOf : Leaf {
  static void read(Reader& reader, NodeId id, Enum& out) {
    std::vector<std::string_view> allowed;
    const auto text = reader.scalar(id, "a word");
    if (!text) return;
    for (const Choice<Enum>& choice : kChoices) {
      if (choice.is_built) allowed.push_back(choice.text);
      if (choice.text != *text) continue;
      if (!choice.is_built) return choice_not_built(reader, id, *text);
      out = choice.value;
      return;
    }
    wrong_choice(reader, id, *text, allowed);
  }
  static void write(JsonWriter& writer, Enum value) { writer.string(name(value)); }
  static std::string_view name(Enum value) {
    const auto found = std::ranges::find_if(kChoices, [&](const auto& c) { return c.is_built && c.value == value; });
    return found->text;
  }
};

// A list of single values counts as one leaf.
template <typename Codec>
struct ScalarList : ListOf<Codec> {
  static void leaves(LeafList& list) { list.add_leaf(); }
};

// A list of single values that, when empty, means that there is none.
template <typename Codec>
struct NonEmptyList : ScalarList<Codec> {
  template <typename T>
  static void read(Reader& reader, NodeId id, std::vector<T>& out) {
    ListOf<Codec>::read(reader, id, out);
    if (reader.node(id).kind == NodeKind::kSequence && out.empty()) reader.error(id, "expected at least one entry");
  }
  template <typename T>
  static bool present(const std::vector<T>& value) {
    return !value.empty();
  }
};

enum class FieldUse : std::uint8_t { kMatch, kEdit };

void read_header_fields(Reader& reader, NodeId id, FieldUse use, std::vector<HeaderField>& out);
void read_header_name(Reader& reader, NodeId id, FieldUse use, std::string& out);

// A mapping from names of header fields to their values.
template <FieldUse kUse>
struct HeaderFields : Leaf {
  static void read(Reader& reader, NodeId id, std::vector<HeaderField>& out) {
    read_header_fields(reader, id, kUse, out);
  }
  static void write(JsonWriter& writer, const std::vector<HeaderField>& value) {
    writer.begin_object();
    for (const HeaderField& header : value) writer.member(header.name, [&] { writer.string(header.value); });
    writer.end_object();
  }
  static bool present(const std::vector<HeaderField>& value) { return !value.empty(); }
};

struct HeaderName : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out) { read_header_name(reader, id, FieldUse::kEdit, out); }
};

}  // namespace weir::config
