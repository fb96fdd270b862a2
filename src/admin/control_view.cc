#include "admin/control_view.h"

namespace weir::admin {

std::string_view to_string(BackendState state) {
  switch (state) {
    case BackendState::active:
      return "active";
    case BackendState::draining:
      return "draining";
    case BackendState::disabled:
      return "disabled";
  }
  return "";
}

std::optional<BackendState> parse_backend_state(std::string_view text) {
  for (const auto state : {BackendState::active, BackendState::draining, BackendState::disabled}) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

}  // namespace weir::admin
