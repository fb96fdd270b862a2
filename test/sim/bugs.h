#pragma once

#include "sim/fixture.h"

namespace weir::sim {

// The suite of numbered cases (docs/development.md); one class for all files, as GoogleTest wants it.
class Bugs : public SimTest {};

}  // namespace weir::sim
