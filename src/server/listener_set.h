#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/engine.h"
#include "proxy/worker.h"

namespace weir::server {

// Binds the listeners' addresses for the workers: one socket per worker on a TCP address (SO_REUSEPORT), one in all on
// a unix path (worker 0 hands its connections out). The sockets belong to the workers once commit() was told. Control
// thread.
class ListenerSet {
 public:
  using Settings = std::shared_ptr<const proxy::ListenerSettings>;
  // A listening socket for this address that was inherited from the service manager, each once; the engine knows it.
  using TakeInherited = std::function<std::optional<SocketId>(const SocketAddress& address)>;

  ListenerSet(Engine& engine, std::size_t workers, TakeInherited take_inherited);

  struct Bound {
    std::string listener;
    SocketAddress configured;
    SocketAddress actual;  // with the port that 0 became
  };
  // What it takes to get from the listeners in force to others.
  struct Plan {
    std::vector<std::vector<proxy::ListenerSocket>> sockets;  // by worker
    std::vector<Bound> bound;
  };

  // Binds what is not bound yet. All or nothing: on an error nothing new stays bound. An address that stays keeps its
  // socket, also under another listener's name.
  Result<Plan> prepare(std::span<const Settings> listeners);
  // Gives up a plan that was prepared and is not wanted any more.
  void abandon(Plan& plan);
  // The plan is in force; its sockets go to the workers.
  void commit(Plan& plan);

  const std::vector<Bound>& bound() const { return bound_; }

 private:
  Result<Bound> bind(const proxy::ListenerSettings& settings, Plan& plan);
  Result<void> bind_all(const SocketAddress& address, const std::string& listener, Plan& plan, SocketAddress& actual);
  Result<SocketId> listen_first(const SocketAddress& address, const Plan& plan);

  Engine& engine_;
  const std::size_t workers_;
  TakeInherited take_inherited_;
  std::vector<Bound> bound_;
  std::set<SocketAddress> ours_;  // addresses that this process has had: a worker may still be closing its socket
};

}  // namespace weir::server
