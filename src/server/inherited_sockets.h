#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/epoll_engine.h"

namespace weir::server {

// Listening sockets that the service manager passed on (LISTEN_FDS, sd_listen_fds(3)), handed out by address. Control
// thread.
class InheritedSockets {
 public:
  // `pid` and `count` are LISTEN_PID and LISTEN_FDS, empty if not set. Sockets that are not meant for this process, or
  // that can't be used, are left alone.
  InheritedSockets(EpollEngine& engine, const std::string& pid, const std::string& count);

  // Each socket once.
  std::optional<SocketId> take(const SocketAddress& address);
  std::size_t left() const { return sockets_.size(); }
  // Closes what nobody took.
  void close_rest();

 private:
  struct Inherited {
    SocketAddress address;
    SocketId socket;
  };

  EpollEngine& engine_;
  std::vector<Inherited> sockets_;
};

}  // namespace weir::server
