#pragma once

#include <set>
#include <string>
#include <vector>

#include "net/descriptor_budget.h"
#include "net/engine.h"
#include "net/sim_network.h"

namespace weir {

class SimWorld;

// One simulated thread's Engine. Driven by a SimWorld, its poll() never waits; called alone with a deadline ahead,
// poll() lets the network and time go on until something is ready. Using a closed descriptor, or one of another engine,
// aborts.
class SimEngine final : public Engine {
 public:
  // `ip` is where its connections come from. `world` and `budget`, which the engines of one simulated process share,
  // outlive it.
  SimEngine(SimWorld& world, DescriptorBudget& budget, std::string name, const IpAddress& ip);
  SimEngine(const SimEngine&) = delete;
  SimEngine& operator=(const SimEngine&) = delete;

  SimWorld& world() { return world_; }
  const std::string& name() const { return name_; }
  void set_ip(const IpAddress& ip) { ip_ = ip; }

  // Has an event to hand out.
  bool has_work() const;
  // For SimNetwork.
  void add_pending(SocketId socket) { pending_.push_back(socket); }

  TimePoint now() const override { return now_; }
  WallTime wall_now() const override;

  Result<SocketId> listen(const SocketAddress& address, const ListenOptions& options) override;
  Result<SocketAddress> local_address(SocketId socket) override;
  Accepted accept(SocketId listener) override;
  Result<SocketId> connect(const SocketAddress& address) override;
  int connect_error(SocketId socket) override;
  IoResult read(SocketId socket, std::span<char> into) override;
  IoResult write(SocketId socket, std::span<const iovec> from, bool more) override;
  bool quiet(SocketId socket) override;
  std::size_t unread(SocketId socket) override;
  Result<Pipe> open_pipe() override;
  void close_pipe(Pipe& pipe) override;
  IoResult splice_in(SocketId from, Pipe& pipe, std::size_t at_most) override;
  IoResult splice_out(Pipe& pipe, SocketId to, bool more) override;
  void shutdown_write(SocketId socket) override;
  void close(SocketId socket) override;
  void reset(SocketId socket) override;
  SocketId release(SocketId socket) override;
  void adopt(SocketId socket) override;
  Result<void> watch(SocketId socket, ReadinessHandler& handler, Trigger trigger = Trigger::edge) override;
  std::size_t poll(TimePoint until) override;
  void wake() override { woken_ = true; }
  bool descriptors_scarce() override { return budget_.scarce(); }

 private:
  SimSocket& own(SocketId socket) const;
  SimSocket& own_stream(SocketId socket) const;
  bool at_limit(std::size_t wanted);
  Readiness level_of(const SimSocket& socket) const;
  void tell_edges(std::size_t& told);
  void tell_levels(std::size_t& told);

  SimWorld& world_;
  DescriptorBudget& budget_;
  const std::string name_;
  IpAddress ip_;
  TimePoint now_;
  WallTime wall_now_;
  bool woken_ = false;
  std::vector<SocketId> pending_;
  std::vector<SocketId> telling_;
  std::set<SocketId> levels_;  // watched for levels
};

}  // namespace weir
