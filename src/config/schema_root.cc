#include "config/codecs.h"
#include "config/schemas.h"

namespace weir::config {

namespace {

constexpr Choice<LogLevel> kLogLevels[] = {
    {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warn", LogLevel::kWarn}, {"error", LogLevel::kError}};
constexpr Choice<LogFormat> kLogFormats[] = {{"text", LogFormat::kText}, {"json", LogFormat::kJson}};

constexpr Field<LogSpec> kLogFields[] = {
    field<&LogSpec::path, PathValue>("path"),
    field<&LogSpec::level, OneOf<LogLevel, kLogLevels>>("level"),
    field<&LogSpec::format, OneOf<LogFormat, kLogFormats>>("format"),
};
constexpr Schema<LogSpec> kLogSchema{kLogFields};

constexpr Field<MetricsSpec> kMetricsFields[] = {
    field<&MetricsSpec::per_worker, BoolValue>("per_worker"),
};
constexpr Schema<MetricsSpec> kMetricsSchema{kMetricsFields};

constexpr Field<AdminSpec> kAdminFields[] = {
    field<&AdminSpec::address, ListenAddress>("address"),
    field<&AdminSpec::token, TokenValue>("token"),
};
void check_admin(Reader& reader, NodeId id, AdminSpec& admin) {
  const NodeId address = reader.find_value(id, "address");
  admin.position = reader.position(address == kNoNode ? id : address);
}
constexpr Schema<AdminSpec> kAdminSchema{kAdminFields, check_admin};

// `auto`, or how many; stored as 0 or the number.
struct WorkersValue : Leaf {
  static void read(Reader& reader, NodeId id, std::uint32_t& out) {
    constexpr std::string_view kWhat = "auto or a whole number from 1 to 1024";
    const auto text = reader.scalar(id, kWhat);
    if (!text) return;
    const auto count = parse_number(*text, kMaxWorkers);
    if (*text != "auto" && count.value_or(0) == 0) return reader.expected(id, kWhat, *text);
    out = static_cast<std::uint32_t>(count.value_or(0));
  }
  static void write(JsonWriter& writer, std::uint32_t value) {
    if (value == 0) {
      writer.string("auto");
    } else {
      writer.number(value);
    }
  }
};

// A mapping, or `none`.
struct AdminValue {
  using Mapping = Section<AdminSpec, kAdminSchema>;
  static void read(Reader& reader, NodeId id, std::optional<AdminSpec>& out) {
    if (reader.node(id).kind != NodeKind::kScalar) return Mapping::read(reader, id, out.emplace());
    const auto text = reader.scalar(id, "a mapping, or none");
    if (!text) return;
    if (*text != "none") return reader.expected(id, "a mapping, or none", *text);
    out.reset();
  }
  static void write(JsonWriter& writer, const std::optional<AdminSpec>& value) {
    if (value) {
      Mapping::write(writer, *value);
    } else {
      writer.string("none");
    }
  }
  static void leaves(LeafList& list) { Mapping::leaves(list); }
};

constexpr Field<Spec> kRootFields[] = {
    field<&Spec::workers, WorkersValue>("workers"),
    field<&Spec::drain_delay, Delay>("drain_delay"),
    field<&Spec::drain_timeout, DelayOrNone>("drain_timeout"),
    field<&Spec::log, Section<LogSpec, kLogSchema>>("log"),
    field<&Spec::metrics, Section<MetricsSpec, kMetricsSchema>>("metrics"),
    field<&Spec::admin, AdminValue>("admin"),
    field<&Spec::listeners, ListOf<Section<ListenerSpec, kListenerSchema>>>("listeners", Presence::kRequired),
    field<&Spec::clusters, ListOf<Section<ClusterSpec, kClusterSchema>>>("clusters", Presence::kRequired),
    field<&Spec::routes, ListOf<Section<RouteSpec, kRouteSchema>>>("routes", Presence::kRequired),
};

}  // namespace

constinit const Schema<Spec> kRootSchema{kRootFields};

}  // namespace weir::config
