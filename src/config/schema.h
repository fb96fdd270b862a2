#pragma once

#include <fmt/format.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_writer.h"
#include "config/reader.h"

// The table that a section of the configuration is read, written and listed by. A codec is a type with
//   static void read(Reader&, NodeId, Value&)      from YAML; reports what is wrong and leaves the value as it is
//   static void write(JsonWriter&, const Value&)   to JSON, as the file would have it
//   static void leaves(LeafList&)                  the keys it accepts below
//   static bool present(const Value&)              (may be left out) false: nothing is written
namespace weir::config {

// Collects leaf keys such as "listeners[].limits.header_bytes".
struct LeafList {
  std::string path;
  std::vector<std::string> keys;

  void add_leaf() { keys.push_back(path); }
};

template <typename T>
struct Field {
  std::string_view key;
  void (*read)(Reader&, NodeId, T&) = nullptr;  // null: a known key that is refused
  void (*write)(JsonWriter&, std::string_view, const T&) = nullptr;
  void (*leaves)(LeafList&) = nullptr;
  bool required = false;
  std::string_view instead = {};  // a refused key: what to do instead; empty: it is not supported yet
};

template <typename T>
struct Schema {
  std::span<const Field<T>> fields;
  void (*check)(Reader&, NodeId, T&) = nullptr;  // after all fields, for what they mean together
};

template <typename>
struct MemberOf;
template <typename Owner, typename Value>
struct MemberOf<Value Owner::*> {
  using Type = Owner;
};

enum class Presence : bool { kOptional, kRequired };

// A key whose value is a member of the section, or of a base of it.
template <typename Owner, auto Member, typename Codec>
constexpr auto field_of(std::string_view key, Presence presence = Presence::kOptional) {
  return Field<Owner>{key,
                      [](Reader& reader, NodeId value, Owner& owner) { Codec::read(reader, value, owner.*Member); },
                      [](JsonWriter& writer, std::string_view name, const Owner& owner) {
                        if constexpr (requires { Codec::present(owner.*Member); }) {
                          if (!Codec::present(owner.*Member)) return;
                        }
                        writer.member(name, [&] { Codec::write(writer, owner.*Member); });
                      },
                      [](LeafList& list) { Codec::leaves(list); }, presence == Presence::kRequired};
}

// A key whose value is a member of the section.
template <auto Member, typename Codec>
constexpr auto field(std::string_view key, Presence presence = Presence::kOptional) {
  return field_of<typename MemberOf<decltype(Member)>::Type, Member, Codec>(key, presence);
}

// A key of the documented configuration that this version refuses.
template <typename T>
constexpr Field<T> not_yet(std::string_view key) {
  return Field<T>{.key = key};
}

// A key that belongs elsewhere.
template <typename T>
constexpr Field<T> misplaced(std::string_view key, std::string_view instead) {
  return Field<T>{.key = key, .instead = instead};
}

inline void refuse_key(Reader& reader, NodeId key, std::string_view instead) {
  if (instead.empty()) {
    reader.error(key, fmt::format("'{}' is not supported yet", reader.key_text(key)));
  } else {
    reader.error(key, fmt::format("key '{}' does not belong here", reader.key_text(key)), std::string(instead));
  }
}

template <typename T>
const Field<T>* find_field(const Schema<T>& schema, std::string_view key) {
  for (const Field<T>& candidate : schema.fields) {
    if (candidate.key == key) return &candidate;
  }
  return nullptr;
}

// Reports the key and gives the field that was probably meant, null if none is like it.
template <typename T>
const Field<T>* report_unknown_key(Reader& reader, NodeId key, const Schema<T>& schema) {
  std::vector<std::string_view> known;
  for (const Field<T>& candidate : schema.fields) known.push_back(candidate.key);
  return find_field(schema, reader.unknown_key(key, known));
}

template <typename T>
void read_section(Reader& reader, NodeId id, const Schema<T>& schema, T& out) {
  if (!reader.expect_mapping(id)) return;
  const YamlNode& mapping = reader.node(id);
  std::uint64_t seen = 0;
  std::uint64_t meant = 0;  // keys that are there misspelt are not missing too
  const auto bit_of = [&](const Field<T>* member) {
    return member == nullptr ? 0 : 1ULL << static_cast<std::size_t>(member - schema.fields.data());
  };
  for (std::size_t i = 0; i < mapping.count; i += 2) {
    const NodeId key = reader.tree().child(mapping, i);
    const Field<T>* found = find_field(schema, reader.key_text(key));
    if (found == nullptr) {
      meant |= bit_of(report_unknown_key(reader, key, schema));
      continue;
    }
    const std::uint64_t bit = bit_of(found);
    if ((seen & bit) != 0) {
      reader.double_key(key);
    } else if (found->read == nullptr) {
      refuse_key(reader, key, found->instead);
    } else {
      const Reader::Scope scope(reader, found->key);
      found->read(reader, reader.tree().child(mapping, i + 1), out);
    }
    seen |= bit;
  }
  for (std::size_t i = 0; i < schema.fields.size(); ++i) {
    if (schema.fields[i].required && ((seen | meant) & (1ULL << i)) == 0) reader.missing_key(id, schema.fields[i].key);
  }
  if (schema.check != nullptr) schema.check(reader, id, out);
}

template <typename T>
void write_section(JsonWriter& writer, const Schema<T>& schema, const T& value) {
  writer.begin_object();
  for (const Field<T>& member : schema.fields) {
    if (member.write != nullptr) member.write(writer, member.key, value);
  }
  writer.end_object();
}

template <typename T>
void list_leaves(LeafList& list, const Schema<T>& schema) {
  const std::size_t length = list.path.size();
  for (const Field<T>& member : schema.fields) {
    if (member.leaves == nullptr) continue;
    if (!list.path.empty()) list.path += '.';
    list.path += member.key;
    member.leaves(list);
    list.path.resize(length);
  }
}

// A mapping that is read by a schema.
template <typename T, const Schema<T>& kSchema>
struct Section {
  static void read(Reader& reader, NodeId id, T& out) { read_section(reader, id, kSchema, out); }
  static void write(JsonWriter& writer, const T& value) { write_section(writer, kSchema, value); }
  static void leaves(LeafList& list) { list_leaves(list, kSchema); }
};

// A list. An entry that is wrong is in the result nevertheless, so that positions agree with the file.
template <typename Codec>
struct ListOf {
  template <typename T>
  static void read(Reader& reader, NodeId id, std::vector<T>& out) {
    if (!reader.expect_list(id)) return;
    const YamlNode& list = reader.node(id);
    out.clear();
    out.reserve(list.count);
    for (std::size_t i = 0; i < list.count; ++i) {
      const Reader::Scope scope(reader, i);
      Codec::read(reader, reader.tree().child(list, i), out.emplace_back());
    }
  }
  template <typename T>
  static void write(JsonWriter& writer, const std::vector<T>& values) {
    writer.begin_list();
    for (std::size_t i = 0; i < values.size(); ++i) writer.element(i, [&] { Codec::write(writer, values[i]); });
    writer.end_list();
  }
  static void leaves(LeafList& list) {
    const std::size_t length = list.path.size();
    list.path += "[]";
    Codec::leaves(list);
    list.path.resize(length);
  }
};

// A value that may be absent.
template <typename Codec>
struct Maybe {
  template <typename T>
  static void read(Reader& reader, NodeId id, std::optional<T>& out) {
    Codec::read(reader, id, out.emplace());
  }
  template <typename T>
  static void write(JsonWriter& writer, const std::optional<T>& value) {
    Codec::write(writer, *value);
  }
  template <typename T>
  static bool present(const std::optional<T>& value) {
    return value.has_value();
  }
  static void leaves(LeafList& list) { Codec::leaves(list); }
};

}  // namespace weir::config
