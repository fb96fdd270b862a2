#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/descriptor_budget.h"
#include "net/engine.h"

namespace weir {

// The real Engine: one epoll descriptor, edge-triggered, each socket registered once. Linux.
class EpollEngine final : public Engine {
 public:
  // Fails if the process has no descriptors left. `budget` outlives the engine.
  static Result<std::unique_ptr<EpollEngine>> open(DescriptorBudget& budget);
  ~EpollEngine() override;

  TimePoint now() const override { return now_; }
  WallTime wall_now() const override;

  // A unix socket's file stays when the listener is closed; listening on it again replaces it if nobody accepts there.
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
  // Takes a descriptor that was inherited from another process (LISTEN_FDS, upgrade) into the engine's care.
  Result<void> inherit(int descriptor);
  // Any pollable descriptor, not only those that this engine opened.
  Result<void> watch(SocketId socket, ReadinessHandler& handler, Trigger trigger = Trigger::edge) override;
  std::size_t poll(TimePoint until) override;
  void wake() override;
  bool descriptors_scarce() override { return budget_.scarce(); }

 private:
  static constexpr int kOwnDescriptors = 3;

  // What is known of the descriptor whose number is the index. The generation tells an event of a closed socket from
  // one of the socket that got its number.
  struct Slot {
    ReadinessHandler* handler = nullptr;
    std::uint32_t generation = 0;
    bool registered = false;
  };

  explicit EpollEngine(DescriptorBudget& budget);
  bool announces(int descriptor, std::uint64_t event);
  Slot& slot(SocketId socket);
  void forget(SocketId socket);
  void set_alarm(TimePoint at);
  int wait(TimePoint until);

  DescriptorBudget& budget_;
  const int epoll_;
  const int wake_;
  // Ends a wait at its deadline. epoll_wait would set up and take down a timeout of its own for each wait, which costs
  // a worker that sleeps between requests some 2 % of its time; this one stays until it rings or is too late.
  const int alarm_;
  TimePoint alarm_at_ = kNever;
  TimePoint now_;
  mutable WallTime wall_now_;
  mutable bool wall_known_ = false;  // the wall clock is read when first asked after a poll
  std::vector<Slot> slots_;
  std::array<epoll_event, kEventsPerPoll> events_;
  alignas(64) std::atomic<bool> wake_pending_ = false;
};

}  // namespace weir
