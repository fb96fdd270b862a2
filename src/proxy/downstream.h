#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/local_ref.h"
#include "base/time.h"
#include "net/engine.h"
#include "net/proxy_protocol.h"
#include "proxy/connection_facts.h"
#include "proxy/route_runtime.h"
#include "upstream/pool/client_pools.h"

namespace weir::proxy {

struct DownstreamTag;
struct WorkerContext;

// How fast a request's body comes: body_min_rate must be reached over each window, beside which body_timeout bounds the
// longest gap.
class BodyPace {
 public:
  void begin(TimePoint now) {
    began_ = now;
    bytes_ = 0;
  }
  // `bytes` more came. True if a window is over in which too few came; the next one begins.
  bool too_slow(std::size_t bytes, std::uint64_t bytes_per_s_min, TimePoint now);

 private:
  static constexpr Duration kWindow = 30s;

  TimePoint began_{};
  std::uint64_t bytes_ = 0;
};

// A client's connection, whatever it speaks: what the worker knows of it. It counts as open, in the listener's gauge,
// the worker's, the board and the listener's limit, and is in WorkerContext::open, from its construction until leave().
class Downstream : public ListNode<DownstreamTag> {
 public:
  // What runs finishes, nothing new is taken; without anything that runs, the connection closes after one more read.
  virtual void drain() = 0;
  // Closes it at once, with a reset where an answer is under way.
  virtual void cut() = 0;

  ListenerRuntime& listener() { return *listener_; }
  const ConnectionFacts& facts() const { return facts_; }
  // Its own pools, where backends are told of it, and what they are told.
  ClientPools& pools() {
    if (pools_ == nullptr) pools_ = std::make_unique<ClientPools>();
    return *pools_;
  }
  ProxiedEnds ends() const;

 protected:
  // How much and how long a client may go on sending after the last answer, so that it gets to read it.
  static constexpr std::uint64_t kLingerBytes = 256 * 1024 * 1024;
  static constexpr Duration kLingerGap = 2s;
  static constexpr Duration kLingerTime = 30s;

  // A connection that was just accepted; it is counted on the board and against the listener's limit already.
  Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts);
  // Takes the place of `predecessor`, which has found that another protocol is spoken: the client's connection goes on
  // and nothing is counted anew. The predecessor must not leave().
  explicit Downstream(Downstream& predecessor);
  Downstream(const Downstream&) = delete;
  Downstream& operator=(const Downstream&) = delete;
  ~Downstream() = default;

  // The connection no longer counts. Once, from its close().
  void leave();
  // Once there is a stream.
  virtual SocketId socket() const { return kNoSocket; }
  // The whole worker drains, or what this connection's listener still has.
  bool to_be_drained() const;

  WorkerContext& context_;
  LocalRef<ListenerRuntime> listener_;
  ConnectionFacts facts_;
  std::unique_ptr<ClientPools> pools_;  // only where backends are told of clients
};

}  // namespace weir::proxy
