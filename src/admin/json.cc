#include "admin/json.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <limits>

namespace weir::admin {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Writer& writer, std::string_view text) { writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size())); }

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

std::string text_of(const rapidjson::StringBuffer& buffer) { return {buffer.GetString(), buffer.GetSize()}; }

std::unexpected<BodyError> misfit(std::string message) { return std::unexpected(BodyError{422, std::move(message)}); }

// A JSON object whose keys are all in `known`, each at most once. Parsed without recursion, so that depth costs nothing.
Parsed<void> parse_object(std::string_view body, std::initializer_list<std::string_view> known, rapidjson::Document& document) {
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(body.data(), body.size());
  if (document.HasParseError()) {
    return std::unexpected(BodyError{400, fmt::format("broken JSON at byte {}: {}", document.GetErrorOffset(),
                                                      rapidjson::GetParseError_En(document.GetParseError()))});
  }
  if (!document.IsObject()) return misfit("a JSON object is expected");
  std::vector<std::string_view> seen;
  for (const auto& member : document.GetObject()) {
    const std::string_view key(member.name.GetString(), member.name.GetStringLength());
    if (std::ranges::find(known, key) == known.end()) return misfit(fmt::format("unknown key \"{}\"", key));
    if (std::ranges::find(seen, key) != seen.end()) return misfit(fmt::format("\"{}\" stands there twice", key));
    seen.push_back(key);
  }
  return {};
}

const rapidjson::Value* find(const rapidjson::Document& document, const char* key) {
  const auto member = document.FindMember(key);
  return member == document.MemberEnd() ? nullptr : &member->value;
}

Parsed<std::optional<std::string>> text_at(const rapidjson::Document& document, const char* key) {
  const rapidjson::Value* value = find(document, key);
  if (value == nullptr) return std::nullopt;
  if (!value->IsString()) return misfit(fmt::format("\"{}\" must be a string", key));
  if (value->GetStringLength() == 0) return misfit(fmt::format("\"{}\" must not be empty", key));
  return std::string(value->GetString(), value->GetStringLength());
}

Parsed<std::optional<std::uint32_t>> number_at(const rapidjson::Document& document, const char* key, std::uint32_t least) {
  const rapidjson::Value* value = find(document, key);
  if (value == nullptr) return std::nullopt;
  constexpr std::uint32_t kMost = 1'000'000'000;
  if (!value->IsUint() || value->GetUint() < least || value->GetUint() > kMost) {
    return misfit(fmt::format("\"{}\" must be a whole number from {} to {}", key, least, kMost));
  }
  return value->GetUint();
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

std::string routes_json(std::string_view routes) { return fmt::format(R"({{"routes":{}}})", routes); }

std::string generation_json(std::uint64_t generation) { return fmt::format(R"({{"generation":{}}})", generation); }

Parsed<NewBackend> parse_new_backend(std::string_view body) {
  rapidjson::Document document;
  if (auto ok = parse_object(body, {"name", "url", "weight", "max_connections"}, document); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  auto name = text_at(document, "name");
  if (!name) return std::unexpected(std::move(name.error()));
  auto url = text_at(document, "url");
  if (!url) return std::unexpected(std::move(url.error()));
  if (!*url) return misfit("\"url\" is missing");
  const auto weight = number_at(document, "weight", 0);
  if (!weight) return std::unexpected(weight.error());
  const auto limit = number_at(document, "max_connections", 1);
  if (!limit) return std::unexpected(limit.error());
  return NewBackend{std::move(*name), std::move(**url), weight->value_or(1), *limit};
}

Parsed<BackendPatch> parse_backend_patch(std::string_view body) {
  rapidjson::Document document;
  if (auto ok = parse_object(body, {"weight", "state"}, document); !ok) return std::unexpected(std::move(ok.error()));
  BackendPatch patch;
  const auto weight = number_at(document, "weight", 0);
  if (!weight) return std::unexpected(weight.error());
  patch.weight = *weight;
  const auto state = text_at(document, "state");
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
  rapidjson::Document document;
  return parse_object(body, {}, document);
}

}  // namespace weir::admin
