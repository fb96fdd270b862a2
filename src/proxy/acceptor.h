#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "proxy/context.h"
#include "proxy/http1_downstream.h"

namespace weir::proxy {

// A connection that was turned away: its short answer is out, and it stays until the client has read it. At most
// kPlaces at a time; the oldest makes room. One thread.
class RefusedConnections {
 public:
  explicit RefusedConnections(EventLoop& loop) : loop_(loop) {}
  ~RefusedConnections();

  // Writes `reply` once, and closes when the client has, or after a second.
  void add(SocketId socket, std::string_view reply);
  void close_all();

 private:
  static constexpr std::size_t kPlaces = 64;

  class Place final : public ReadinessHandler, public TimerHandler {
   public:
    Place() : timer_(static_cast<TimerHandler&>(*this)) {}
    void open(EventLoop& loop, SocketId socket);
    void close();
    void on_ready(Readiness readiness) override;
    void on_timer(Timer&) override { close(); }

   private:
    EventLoop* loop_ = nullptr;
    Timer timer_;
    SocketId socket_ = kNoSocket;
  };

  EventLoop& loop_;
  std::unique_ptr<std::array<Place, kPlaces>> places_;  // made when first needed
  std::size_t next_ = 0;
};

// One listening socket of one worker: accepts, and hands each connection to the least loaded worker. Destroyed at the
// end of the turn in which it closed.
class Acceptor final : private ReadinessHandler, private Resumable, private TimerHandler, private Retired {
 public:
  Acceptor(WorkerContext& context, RefusedConnections& refused, LocalRef<ListenerRuntime> listener, SocketId socket);
  ~Acceptor();

  Result<void> start();
  // Accepts what waits in the queue and closes.
  void finish();
  void close();
  bool closed() const { return socket_ == kNoSocket; }
  ListenerRuntime& listener() { return *listener_; }
  // What it was bound for. The listener may have another address by now.
  const SocketAddress& address() const { return address_; }
  // Its name may have changed with a reload that kept the address.
  void set_listener(LocalRef<ListenerRuntime> listener) { listener_ = std::move(listener); }
  void release();

 private:
  static constexpr int kPerTurn = 64;
  static constexpr int kQueueMax = 100'000;
  static constexpr Duration kPause = 100ms;

  void on_ready(Readiness readiness) override;
  void resume() override { accept_some(kPerTurn); }
  void on_timer(Timer&) override { accept_some(kPerTurn); }
  void destroy() override { delete this; }

  void accept_some(int at_most);
  void place(const Accepted& accepted);
  void pause();

  WorkerContext& context_;
  RefusedConnections& refused_;
  LocalRef<ListenerRuntime> listener_;
  const SocketAddress address_;
  Timer pause_timer_;
  SocketId socket_;
  bool paused_ = false;
};

// A connection that this worker takes: accepted here or handed over. Counts it, or turns it away.
void take_connection(WorkerContext& context, RefusedConnections& refused, LocalRef<ListenerRuntime> listener,
                     SocketId socket, const IpAddress& peer, std::uint16_t peer_port);

}  // namespace weir::proxy
