#pragma once

#include <array>
#include <cstdint>
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
    std::string servers;                           // "127.0.0.1:5353,[::1]:53"; empty: what resolv.conf says
    std::string resolv_conf = "/etc/resolv.conf";  // read anew when it has changed
    std::uint16_t port = 53;                       // of the servers that it names
    Duration try_timeout = 2s;                     // of the first try; later ones wait longer
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

  CaresResolver(EventLoop& loop, Options options);
  Result<void> open_channel();
  void ask(std::unique_ptr<Query> query);
  void follow_resolv_conf();
  void resume() override;
  void on_timer(Timer& timer) override;
  static void on_socket_state(void* self, int socket, int readable, int writable);
  static void on_answer(void* query, int status, int timeouts, ares_addrinfo* answer);
  void process(SocketId socket, Readiness readiness);
  void arm_timer();

  // What tells one state of a file from another.
  using FileState = std::array<std::int64_t, 4>;
  static FileState state_of(const std::string& path);

  EventLoop& loop_;
  Timer timer_;
  const Options options_;
  FileState resolv_conf_{};
  ares_channeldata* channel_ = nullptr;
  std::vector<std::unique_ptr<Query>>* moving_ = nullptr;  // where a channel that goes leaves what it was asked
  std::vector<std::unique_ptr<Watch>> watches_;
  std::deque<std::unique_ptr<Query>> answered_;
};

}  // namespace weir
