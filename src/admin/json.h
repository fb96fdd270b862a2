#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "admin/control_view.h"

// The JSON of the admin API, both ways. Pure.
namespace weir::admin {

std::string error_json(std::string_view message);
std::string backend_json(const BackendView& backend);
std::string clusters_json(const std::vector<ClusterView>& clusters);
std::string config_json(const ConfigView& config);
std::string routes_json(std::string_view routes);  // `routes` is a JSON array
std::string generation_json(std::uint64_t generation);

struct BodyError {
  std::uint16_t status;  // 400: not JSON; 422: JSON that does not fit
  std::string message;
};
template <typename T>
using Parsed = std::expected<T, BodyError>;

// Unknown and repeated keys, wrong types and values out of range are 422.
Parsed<NewBackend> parse_new_backend(std::string_view body);
Parsed<BackendPatch> parse_backend_patch(std::string_view body);
// A body that has nothing to say: empty or {}.
Parsed<void> parse_nothing(std::string_view body);

}  // namespace weir::admin
