#pragma once

#include "config/reader.h"

namespace weir::config {

// Gives listeners, clusters and routes without a name one after their position, and checks what sections mean together:
// names that are there twice, listeners on one address, routes to clusters that do not exist. `root` is the mapping
// that `spec` was read from.
void name_and_check(Reader& reader, NodeId root, Spec& spec);

}  // namespace weir::config
