#pragma once

#include "base/intrusive_list.h"

namespace weir {

struct IdleTag;

// An upstream connection that nobody uses just now, as all pools of a worker know it together: the longest idle first.
class IdleConnection : public ListNode<IdleTag> {
 public:
  // Closes it and leaves its pool.
  virtual void close_unused() = 0;

 protected:
  ~IdleConnection() = default;
};

}  // namespace weir
