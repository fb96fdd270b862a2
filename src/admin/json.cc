#include "admin/json.h"

#include <fmt/format.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <optional>
#include <variant>

#include "config/spec.h"

namespace weir::admin {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Writer& writer, std::string_view text) {
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(Writer& writer, std::string_view key, std::string_view text) {
  writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  put(writer, text);
}

void put(Writer& writer, std::string_view key, std::uint64_t number) {
  writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  writer.Uint64(number);
}

void put(Writer& writer, const BackendView& backend) {
  writer.StartObject();
  put(writer, "name", backend.name);
  put(writer, "url", backend.url);
  put(writer, "weight", std::uint64_t{backend.weight});
  put(writer, "state", to_string(backend.state));
  writer.Key("healthy");
  writer.Bool(backend.healthy);
  put(writer, "protocol", backend.protocol);
  put(writer, "active_connections", backend.active_connections);
  put(writer, "requests_total", backend.requests_total);
  writer.EndObject();
}

std::string text_of(const rapidjson::StringBuffer& buffer) {
  return {buffer.GetString(), buffer.GetSize()};
}

std::unexpected<BodyError> misfit(std::string message) {
  return std::unexpected(BodyError{422, std::move(message)});
}

// What stands behind a key. Everything that no key of this API takes is Other.
struct Other {};
using Value = std::variant<Other, std::string, std::uint64_t>;
struct Member {
  std::string key;
  Value value;
};

// Takes one flat object apart. What is nested is read (it has to be JSON) but not kept, so that depth costs nothing
// here; the reader is iterative and its stack bounded by the body's limit.
class FlatObject : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, FlatObject> {
 public:
  bool is_object() const { return is_object_; }
  const std::vector<Member>& members() const { return members_; }

  bool Default() { return take(Other{}); }
  bool Uint(unsigned number) { return take(std::uint64_t{number}); }
  bool Uint64(std::uint64_t number) { return take(number); }
  bool String(const char* text, rapidjson::SizeType size, bool) { return take(std::string(text, size)); }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (depth_ == 1 && is_object_) members_.push_back({std::string(text, size), Other{}});
    return true;
  }
  bool StartObject() {
    if (depth_++ == 0) is_object_ = true;
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return --depth_, true; }
  bool StartArray() { return ++depth_, true; }
  bool EndArray(rapidjson::SizeType) { return --depth_, true; }

 private:
  bool take(Value value) {
    if (depth_ == 1 && is_object_) members_.back().value = std::move(value);
    return true;
  }

  std::vector<Member> members_;
  std::size_t depth_ = 0;
  bool is_object_ = false;
};

// A JSON object whose keys are all in `known`, each at most once.
Parsed<FlatObject> parse_object(std::string_view body, std::initializer_list<std::string_view> known) {
  // The reader would take it for the end.
  if (body.contains('\0')) return std::unexpected(BodyError{400, "broken JSON: a NUL byte"});
  FlatObject object;
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(body.data(), body.size());
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  if (const auto result = reader.Parse<kFlags>(stream, object); result.IsError()) {
    return std::unexpected(BodyError{
        400, fmt::format("broken JSON at byte {}: {}", result.Offset(), rapidjson::GetParseError_En(result.Code()))});
  }
  if (!object.is_object()) return misfit("a JSON object is expected");
  std::vector<std::string_view> seen;
  for (const Member& member : object.members()) {
    if (std::ranges::find(known, member.key) == known.end())
      return misfit(fmt::format("unknown key \"{}\"", member.key));
    if (std::ranges::find(seen, member.key) != seen.end())
      return misfit(fmt::format("\"{}\" stands there twice", member.key));
    seen.push_back(member.key);
  }
  return object;
}

const Value* find(const FlatObject& object, std::string_view key) {
  const auto member = std::ranges::find(object.members(), key, &Member::key);
  return member == object.members().end() ? nullptr : &member->value;
}

Parsed<std::optional<std::string>> text_at(const FlatObject& object, std::string_view key) {
  const Value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  const std::string* text = std::get_if<std::string>(value);
  if (text == nullptr) return misfit(fmt::format("\"{}\" must be a string", key));
  if (text->empty()) return misfit(fmt::format("\"{}\" must not be empty", key));
  return *text;
}

Parsed<std::optional<std::uint32_t>> number_at(const FlatObject& object, std::string_view key, std::uint32_t least,
                                               std::uint32_t most) {
  const Value* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  const std::uint64_t* number = std::get_if<std::uint64_t>(value);
  if (number == nullptr || *number < least || *number > most) {
    return misfit(fmt::format("\"{}\" must be a whole number from {} to {}", key, least, most));
  }
  return static_cast<std::uint32_t>(*number);
}

}  // namespace

std::string error_json(std::string_view message) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  put(writer, "error", message);
  writer.EndObject();
  return text_of(buffer);
}

std::string backend_json(const BackendView& backend) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  put(writer, backend);
  return text_of(buffer);
}

std::string clusters_json(const std::vector<ClusterView>& clusters) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.StartObject();
  writer.Key("clusters");
  writer.StartArray();
  for (const ClusterView& cluster : clusters) {
    writer.StartObject();
    put(writer, "name", cluster.name);
    put(writer, "balance", cluster.balance);
    writer.Key("backends");
    writer.StartArray();
    for (const BackendView& backend : cluster.backends) put(writer, backend);
    writer.EndArray();
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return text_of(buffer);
}

std::string config_json(const ConfigView& config) {
  return fmt::format(R"({{"generation":{},"config":{}}})", config.generation, *config.json);
}

std::string routes_json(std::string_view routes) {
  return fmt::format(R"({{"routes":{}}})", routes);
}

std::string generation_json(std::uint64_t generation) {
  return fmt::format(R"({{"generation":{}}})", generation);
}

Parsed<NewBackend> parse_new_backend(std::string_view body) {
  const auto object = parse_object(body, {"name", "url", "weight", "max_connections"});
  if (!object) return std::unexpected(object.error());
  auto name = text_at(*object, "name");
  if (!name) return std::unexpected(std::move(name.error()));
  auto url = text_at(*object, "url");
  if (!url) return std::unexpected(std::move(url.error()));
  if (!*url) return misfit("\"url\" is missing");
  const auto weight = number_at(*object, "weight", 0, config::kWeightMax);
  if (!weight) return std::unexpected(weight.error());
  const auto limit = number_at(*object, "max_connections", 1, 1'000'000'000);
  if (!limit) return std::unexpected(limit.error());
  return NewBackend{std::move(*name), std::move(**url), weight->value_or(1), *limit};
}

Parsed<BackendPatch> parse_backend_patch(std::string_view body) {
  const auto object = parse_object(body, {"weight", "state"});
  if (!object) return std::unexpected(object.error());
  BackendPatch patch;
  const auto weight = number_at(*object, "weight", 0, config::kWeightMax);
  if (!weight) return std::unexpected(weight.error());
  patch.weight = *weight;
  const auto state = text_at(*object, "state");
  if (!state) return std::unexpected(state.error());
  if (*state) {
    patch.state = parse_backend_state(**state);
    if (!patch.state) return misfit("\"state\" must be active, draining or disabled");
  }
  if (!patch.weight && !patch.state) return misfit("give \"weight\", \"state\" or both");
  return patch;
}

Parsed<void> parse_nothing(std::string_view body) {
  if (body.empty()) return {};
  const auto object = parse_object(body, {});
  if (!object) return std::unexpected(object.error());
  return {};
}

}  // namespace weir::admin
