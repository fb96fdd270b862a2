#pragma once

#include "sim/fixture.h"

namespace weir::sim {

// The suite of numbered cases (docs/development.md); one class for all files, as GoogleTest wants it.
class Bugs : public OverWires {};
class BugsOfHttp1 : public SimTest {};
class BugsOfHttp2 : public SimTest {};
class BugsOfWorkers : public OverWires {
 protected:
  BugsOfWorkers() : OverWires({.workers = 2}) {}
};
// What a review asked about and found in order, or that only a careless repair would break.
class Review : public OverWires {};
class ReviewOfHttp1 : public SimTest {};

}  // namespace weir::sim
