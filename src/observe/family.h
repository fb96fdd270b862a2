#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "observe/cells.h"

namespace weir::observe {

// Every metric family of Weir, in the order in which they are rendered. docs/metrics.md says what each means.
enum class Family : std::uint8_t {
  kRequests,
  kRequestDuration,
  kRequestSize,
  kResponseSize,
  kGrpcRequests,
  kBytes,
  kActiveConnections,
  kConnectionsRefused,
  kHttp2Abuse,
  kAcceptPaused,
  kTlsHandshakes,
  kTlsHandshakeFailures,
  kCertificateExpiry,
  kBackendRequests,
  kBackendRequestDuration,
  kBackendConnectionsActive,
  kBackendHealthStatus,
  kHealthyBackends,
  kTotalBackends,
  kRetries,
  kLocalReplies,
  kPoolConnections,
  kPoolConnectionsCreated,
  kBackendTlsHandshakes,
  kBackendTlsFailures,
  kBackendHttp2Abuse,
  kClusterCertificateExpiry,
  kWorkerRequests,
  kWorkerConnections,
  kAccessLogLost,
  kLogLost,
  kConfigGeneration,
  kConfigLastReloadSuccess,
  kBuildInfo,
  kCount,
};

inline constexpr std::size_t kFamilyCount = static_cast<std::size_t>(Family::kCount);

enum class Label : std::uint8_t {
  kListener,
  kRoute,
  kMethod,
  kStatusCode,
  kGrpcStatus,
  kDirection,
  kReason,
  kKind,
  kCluster,
  kBackend,
  kProtocol,
  kState,
  kVersion,
  kResumed,
  kSubject,
  kCommit,
  kCompiler,
  kWorker,
};

std::string_view name_of(Label label);

enum class CellType : std::uint8_t { kCounter, kGauge, kInfo, kHistogram };  // an info is a gauge that is always 1

// What the integers in the cells are; they are shown in seconds, bytes or as they are.
enum class Unit : std::uint8_t { kNone, kNanoseconds, kBytes };

inline constexpr std::size_t kLabelsMax = 5;

struct FamilyDescriptor {
  std::string_view name;  // as Prometheus knows it, with _total on counters and the unit
  std::string_view help;
  CellType type;
  Unit unit = Unit::kNone;
  std::array<Label, kLabelsMax> label_names{};
  std::uint8_t label_count = 0;           // the worker label included
  bool per_worker = false;                // the last label is the worker, which the store fills in
  const BucketLayout* buckets = nullptr;  // of a histogram

  std::span<const Label> labels() const { return {label_names.data(), label_count}; }
};

const FamilyDescriptor& describe(Family family);

// The label text of a status: "200", and "0" for what is not a status (the client left before an answer).
std::string_view status_label(unsigned status);

}  // namespace weir::observe
