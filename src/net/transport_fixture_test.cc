#include "net/transport_fixture.h"

#include <unistd.h>

#include "net/epoll_engine.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir {
namespace {

class RealTransport final : public TransportUnderTest {
 public:
  ~RealTransport() override { ::unlink(path_.c_str()); }
  Engine& engine() override { return *engine_; }
  DescriptorBudget& budget() override { return budget_; }
  SocketAddress tcp_address() override { return *SocketAddress::parse("127.0.0.1:0"); }
  SocketAddress unix_address() override { return *SocketAddress::parse("unix:" + path_); }

 private:
  std::string path_ = "/tmp/weir-transport-test-" + std::to_string(::getpid()) + ".sock";
  DescriptorBudget budget_{1000, 2};
  std::unique_ptr<EpollEngine> engine_ = *EpollEngine::open(budget_);
};

class SimulatedTransport final : public TransportUnderTest {
 public:
  Engine& engine() override { return engine_; }
  DescriptorBudget& budget() override { return budget_; }
  SocketAddress tcp_address() override { return *SocketAddress::parse("10.0.0.1:0"); }
  SocketAddress unix_address() override { return *SocketAddress::parse("unix:/run/test.sock"); }

 private:
  DescriptorBudget budget_{1000, 2};
  SimWorld world_{SimWorld::Options{}};
  SimEngine engine_{world_, budget_, "only", *IpAddress::parse("10.0.0.1")};
};

template <typename Kind>
std::unique_ptr<TransportUnderTest> make() {
  return std::make_unique<Kind>();
}

}  // namespace

std::vector<TransportKind> transport_kinds() {
  return {{"Epoll", make<RealTransport>}, {"Simulated", make<SimulatedTransport>}};
}

}  // namespace weir
