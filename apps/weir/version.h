#pragma once

#include <string>

#include "server/control_plane.h"

namespace weir {

// What was built from what with what.
server::BuildInfo build_info();

// What `weir version` prints, with line ends.
std::string version_text();

}  // namespace weir
