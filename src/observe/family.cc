#include "observe/family.h"

#include "base/assert.h"

namespace weir::observe {
namespace {

constexpr std::uint64_t kUs = 1'000;
constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kS = 1'000'000'000;
constexpr std::array<std::uint64_t, 16> kDurationBounds = {
    100 * kUs, 250 * kUs, 500 * kUs, 1 * kMs,   2'500 * kUs, 5 * kMs,     10 * kMs, 25 * kMs,
    50 * kMs,  100 * kMs, 250 * kMs, 500 * kMs, 1 * kS,      2'500 * kMs, 5 * kS,   10 * kS};
constexpr std::array<std::uint64_t, 9> kSizeBounds = {256,     1'024,     4'096,     16'384,    65'536,
                                                      262'144, 1'048'576, 4'194'304, 16'777'216};
constexpr BucketLayout kDurations{kDurationBounds};
constexpr BucketLayout kSizes{kSizeBounds};

constexpr FamilyDescriptor make(std::string_view name, std::string_view help, CellType type, Unit unit,
                                std::initializer_list<Label> labels, const BucketLayout* buckets = nullptr) {
  FamilyDescriptor made{.name = name, .help = help, .type = type, .unit = unit, .buckets = buckets};
  for (Label label : labels) {
    made.label_names[made.label_count++] = label;
    made.per_worker = label == Label::kWorker;
  }
  return made;
}

using enum CellType;
using enum Unit;
using enum Label;

constexpr std::array<FamilyDescriptor, kFamilyCount> kFamilies = {
    make("lb_requests_total", "Requests that were answered or given up.", kCounter, kNone,
         {kListener, kRoute, kMethod, kStatusCode}),
    make("lb_request_duration_seconds", "From a request's first byte to the last byte of its answer.", kHistogram,
         kNanoseconds, {kListener, kRoute}, &kDurations),
    make("lb_request_size_bytes", "Bytes of request bodies.", kHistogram, Unit::kBytes, {kListener, kRoute}, &kSizes),
    make("lb_response_size_bytes", "Bytes of response bodies.", kHistogram, Unit::kBytes, {kListener, kRoute}, &kSizes),
    make("lb_grpc_requests_total", "Requests of gRPC, by the status they ended with.", kCounter, kNone,
         {kRoute, kGrpcStatus}),
    make("lb_bytes_total", "Bytes on the clients' wire.", kCounter, Unit::kBytes, {kListener, kDirection}),
    make("lb_active_connections", "Client connections that are open.", kGauge, kNone, {kListener}),
    make("lb_connections_refused_total", "Client connections that were turned away.", kCounter, kNone,
         {kListener, kReason}),
    make("lb_http2_abuse_total", "What clients did over HTTP/2 that only costs.", kCounter, kNone, {kListener, kKind}),
    make("lb_accept_paused_total", "How often accepting paused for lack of descriptors.", kCounter, kNone, {kListener}),
    make("lb_tls_handshakes_total", "TLS handshakes of clients that were completed.", kCounter, kNone,
         {kListener, kVersion, kResumed}),
    make("lb_tls_handshake_failures_total", "TLS handshakes of clients that failed.", kCounter, kNone,
         {kListener, kReason}),
    make("lb_certificate_expiry_seconds", "When a certificate expires, in seconds since the epoch.", kGauge, kNone,
         {kListener, kSubject}),
    make("lb_backend_requests_total", "Attempts at a backend, by the status of its answer.", kCounter, kNone,
         {kCluster, kBackend, kStatusCode}),
    make("lb_backend_request_duration_seconds", "From the start of an attempt to the end of the backend's answer.",
         kHistogram, kNanoseconds, {kCluster, kBackend}, &kDurations),
    make("lb_backend_connections_active", "Connections to a backend that carry a request.", kGauge, kNone,
         {kCluster, kBackend}),
    make("lb_backend_health_status", "1 if the backend is healthy, else 0.", kGauge, kNone, {kCluster, kBackend}),
    make("lb_healthy_backends", "Healthy backends of a cluster.", kGauge, kNone, {kCluster}),
    make("lb_total_backends", "Backends of a cluster.", kGauge, kNone, {kCluster}),
    make("lb_retries_total", "Attempts after the first, by why the one before failed.", kCounter, kNone,
         {kCluster, kReason}),
    make("lb_local_replies_total", "Answers that Weir made itself.", kCounter, kNone, {kListener, kReason}),
    make("lb_pool_connections", "Upstream connections of a worker.", kGauge, kNone,
         {kCluster, kBackend, kProtocol, kState, kWorker}),
    make("lb_pool_connections_created_total", "Upstream connections that a worker opened.", kCounter, kNone,
         {kCluster, kBackend, kProtocol, kWorker}),
    make("lb_backend_tls_handshakes_total", "TLS handshakes with a backend that were completed.", kCounter, kNone,
         {kCluster, kBackend, kVersion, kResumed}),
    make("lb_backend_tls_failures_total", "TLS handshakes with a backend that failed.", kCounter, kNone,
         {kCluster, kBackend, kReason}),
    make("lb_backend_http2_abuse_total",
         "HTTP/2 connections to backends that were ended since the backend broke the rules or did too much of what "
         "only costs.",
         kCounter, kNone, {kCluster, kBackend, kKind}),
    make("lb_cluster_certificate_expiry_seconds",
         "When a certificate expires that backends are shown, in seconds since the epoch.", kGauge, kNone,
         {kCluster, kSubject}),
    make("lb_worker_requests_total", "Requests of a worker.", kCounter, kNone, {kWorker}),
    make("lb_worker_connections", "Client connections of a worker that are open.", kGauge, kNone, {kWorker}),
    make("lb_access_log_lost_total", "Access log lines that were lost.", kCounter, kNone, {kListener}),
    make("lb_log_lost_total", "Lines of the process log that were lost.", kCounter, kNone, {}),
    make("lb_config_generation", "The number of the configuration in force.", kGauge, kNone, {}),
    make("lb_config_last_reload_success", "1 if the last reload took effect, else 0.", kGauge, kNone, {}),
    make("lb_build_info", "What is running.", kInfo, kNone, {kVersion, kCommit, kCompiler}),
};

constexpr bool complete() {
  for (const auto& family : kFamilies) {
    if (family.name.empty() || (family.type == kHistogram) != (family.buckets != nullptr)) return false;
    if (family.type == kCounter && !family.name.ends_with("_total")) return false;
  }
  return true;
}
static_assert(complete());

constexpr auto kStatusDigits = [] {
  std::array<std::array<char, 3>, 1000> digits{};
  for (unsigned i = 0; i < 1000; ++i) {
    digits[i][0] = static_cast<char>('0' + i / 100);
    digits[i][1] = static_cast<char>('0' + i / 10 % 10);
    digits[i][2] = static_cast<char>('0' + i % 10);
  }
  return digits;
}();

}  // namespace

const FamilyDescriptor& describe(Family family) {
  WEIR_ASSERT(family < Family::kCount);
  return kFamilies[static_cast<std::size_t>(family)];
}

std::string_view name_of(Label label) {
  switch (label) {
    case kListener:
      return "listener";
    case kRoute:
      return "route";
    case kMethod:
      return "method";
    case kGrpcStatus:
      return "grpc_status";
    case kStatusCode:
      return "status_code";
    case kDirection:
      return "direction";
    case kReason:
      return "reason";
    case kKind:
      return "kind";
    case kCluster:
      return "cluster";
    case kBackend:
      return "backend";
    case kProtocol:
      return "protocol";
    case kState:
      return "state";
    case kVersion:
      return "version";
    case kResumed:
      return "resumed";
    case kSubject:
      return "subject";
    case kCommit:
      return "commit";
    case kCompiler:
      return "compiler";
    case kWorker:
      return "worker";
  }
  return "";
}

std::string_view status_label(unsigned status) {
  if (status < 100 || status > 999) return "0";
  return {kStatusDigits[status].data(), 3};
}

}  // namespace weir::observe
