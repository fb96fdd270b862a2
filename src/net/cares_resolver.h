#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "net/resolver.h"

struct ares_channeldata;
struct ares_addrinfo;

namespace weir {

// The real resolver: c-ares, its sockets watched by the loop's engine, its timeouts kept by the loop's timer wheel.
// Looks into the hosts file first. One loop; needs an EpollEngine. Opened and destroyed while no other thread does the
// same.
class CaresResolver final : public Resolver, private Resumable, private TimerHandler {
 public:
  struct Options {
    std::string servers;        // "127.0.0.1:5353,[::1]:53"; empty: what resolv.conf says
    Duration try_timeout = 2s;  // of the first try; later ones wait longer
    int tries = 3;
  };

  static Result<std::unique_ptr<CaresResolver>> open(EventLoop& loop, const Options& options);
  ~CaresResolver() override;

  void resolve(Resolution& resolution, std::string_view name, AddressFamily family) override;

 private:
  struct Query;
  // One of c-ares' sockets. Kept for the next one when c-ares closes it, since it may be on the stack.
  struct Watch final : ReadinessHandler {
    explicit Watch(CaresResolver& its_owner) : owner(its_owner) {}
    void on_ready(Readiness readiness) override { owner.process(socket, readiness); }
    CaresResolver& owner;
    SocketId socket = kNoSocket;
  };

  explicit CaresResolver(EventLoop& loop);
  void resume() override;
  void on_timer(Timer& timer) override;
  static void on_socket_state(void* self, int socket, int readable, int writable);
  static void on_answer(void* query, int status, int timeouts, ares_addrinfo* answer);
  void process(SocketId socket, Readiness readiness);
  void arm_timer();

  EventLoop& loop_;
  Timer timer_;
  ares_channeldata* channel_ = nullptr;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::deque<std::unique_ptr<Query>> answered_;
};

}  // namespace weir
