#pragma once

#include "base/intrusive_list.h"

namespace weir {

struct IdleTag;
struct IdleOfAllTag;

// An upstream connection that nobody uses just now, as all pools of a worker know it together, and all pools of its
// backend: the longest idle first.
class IdleConnection : public ListNode<IdleTag>, public ListNode<IdleOfAllTag> {
 public:
  // Closes it and leaves its pool.
  virtual void close_unused() = 0;

 protected:
  ~IdleConnection() = default;
};

}  // namespace weir
