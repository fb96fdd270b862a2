#include "net/sim_faults.h"

namespace weir {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::refuse:
      return "refuse";
    case Fault::blackhole:
      return "blackhole";
    case Fault::out_of_ports:
      return "out_of_ports";
    case Fault::out_of_buffers:
      return "out_of_buffers";
    case Fault::out_of_descriptors:
      return "out_of_descriptors";
    case Fault::reset:
      return "reset";
    case Fault::early_close:
      return "early_close";
    case Fault::stall:
      return "stall";
    case Fault::slow_drip:
      return "slow_drip";
    case Fault::short_write:
      return "short_write";
    case Fault::short_read:
      return "short_read";
    case Fault::delay:
      return "delay";
    case Fault::spurious_edge:
      return "spurious_edge";
  }
  return "unknown";
}

}  // namespace weir
