#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/engine.h"
#include "net/sim_stream.h"

namespace weir {

class SimEngine;
class SimWorld;

// A descriptor of the simulated kind. Numbers are never used twice, so that using a closed one is found out.
struct SimSocket {
  enum class Kind : std::uint8_t { listener, stream, pipe_end };

  Kind kind = Kind::stream;
  SimEngine* owner = nullptr;  // null while released
  ReadinessHandler* handler = nullptr;
  Trigger trigger = Trigger::edge;
  bool pending = false;  // its owner has an edge to tell

  std::shared_ptr<SimStream> stream;
  unsigned end = 0;

  SocketAddress address;  // of a listener
  ListenOptions options;
  std::deque<std::shared_ptr<SimStream>> backlog;

  std::shared_ptr<std::string> pipe;
};

// The simulated network: sockets, who listens where, ports, and connections on their way. For SimEngine.
class SimNetwork {
 public:
  explicit SimNetwork(SimWorld& world) : world_(world) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  SocketId add(std::unique_ptr<SimSocket> socket);
  // Null if closed.
  SimSocket* find(SocketId id) const;
  void remove(SocketId id);

  // Something about it has changed: its owner will tell whoever watches it.
  void notify(SocketId id) const;
  Readiness readiness(const SimSocket& socket) const;

  // Port 0 becomes a free one. Takes over the socket.
  Result<SocketId> listen(const SocketAddress& address, const ListenOptions& options, SimEngine& owner);
  void close_listener(SocketId id);
  Result<SocketId> connect(const IpAddress& from, const SocketAddress& to, SimEngine& owner);

  std::uint64_t connections() const { return connections_; }

 private:
  // Of the listeners that share the best matching address, one drawn by the seed; null if nobody listens.
  SimSocket* listener_for(const SocketAddress& address, SocketId* id);
  void syn_arrives(const std::shared_ptr<SimStream>& stream);
  int connect_unix(const std::shared_ptr<SimStream>& stream);
  void into_backlog(SimSocket& listener, SocketId id, const std::shared_ptr<SimStream>& stream);
  std::uint16_t free_port(const IpAddress& ip);

  SimWorld& world_;
  std::vector<std::unique_ptr<SimSocket>> sockets_;  // by number
  std::map<SocketAddress, std::vector<SocketId>> listeners_;
  std::set<std::string> unix_paths_;  // ever bound: their files stay
  std::map<IpAddress, std::uint16_t> last_port_;
  std::uint64_t connections_ = 0;
};

}  // namespace weir
