#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admin/message.h"
#include "base/arena.h"
#include "http/http1/decoder.h"
#include "net/event_loop.h"

namespace weir::admin {

struct AdminLimits {
  std::size_t connections = 64;
  std::size_t body_bytes = 64 * 1024;
  http::HeadLimits head{.header_bytes = 16 * 1024, .headers = 100, .uri_bytes = 8 * 1024};
  Duration idle_timeout = 30s;    // between requests
  Duration header_timeout = 5s;   // from a request's first byte to the end of its head
  Duration body_timeout = 10s;    // from the end of its head to the end of its body
  Duration answer_timeout = 60s;  // until the control plane has answered; then 503
  Duration write_timeout = 30s;   // without any progress
  Duration linger = 2s;           // after the last answer, for what the client still sends
  std::size_t linger_bytes = 1024 * 1024;
};

class AdminConnection;

// What a connection needs of its server.
class ConnectionOwner {
 public:
  // The whole request has come. `send` is called later, or now; if the connection is gone by then, nothing happens.
  virtual void handle(Request request, SendReply send) = 0;
  // Closed: the owner destroys it, now; it is called from EventLoop's retiring.
  virtual void destroyed(AdminConnection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

// One client of the admin port. Requests are answered one at a time, in order; nothing is read meanwhile.
//
//   idle -> head -> body -> answering -> writing -> idle          (keep-alive)
//                                        writing -> lingering     (shut down, discard what still comes) -> closed
//
// A fault in a request goes to writing with the error and lingers. One thread.
class AdminConnection final : private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private TimerHandler,
                              private Retired {
 public:
  enum class State : std::uint8_t { idle, head, body, answering, writing, lingering, closed };

  // Takes the socket over. `limits`, `owner` and `loop` outlive it.
  AdminConnection(EventLoop& loop, ConnectionOwner& owner, const AdminLimits& limits, SocketId socket, IpAddress peer,
                  SocketAddress local);
  AdminConnection(const AdminConnection&) = delete;
  AdminConnection& operator=(const AdminConnection&) = delete;
  ~AdminConnection();

  // Watches the socket; false if that is impossible, and then it is closed.
  bool start();
  // Answers without having read a request, and closes.
  void turn_away(Reply reply);
  // Closes the socket at once and retires.
  void close();

  State state() const { return state_; }

 private:
  // Lets a late answer find out that its connection has gone or has stopped waiting for it.
  struct Ticket {
    AdminConnection* connection;
  };
  // What reading one request needs; there is none between requests.
  struct Reading {
    explicit Reading(BufferPool& pool) : arena(pool), head(arena), trailers(arena) {}
    Arena arena;
    http::RequestHead head;
    http::FieldList trailers;
    http1::RequestDecoder decoder;
  };

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void on_timer(Timer& timer) override;
  void destroy() override;

  void read_request();
  bool fill();
  bool decode();
  void on_head();
  void refuse(std::uint16_t status, std::string_view message);
  void dispatch();
  void send(Reply reply);
  void discard();
  void written();
  void set_timer(Duration timeout);

  EventLoop& loop_;
  ConnectionOwner& owner_;
  const AdminLimits& limits_;
  SocketId socket_;
  const IpAddress peer_;
  const SocketAddress local_;
  State state_ = State::idle;
  bool keep_alive_ = true;
  std::size_t discarded_ = 0;
  std::string input_;
  std::optional<Reading> reading_;
  Request request_;
  std::shared_ptr<Ticket> ticket_;
  std::string output_head_, output_body_;
  std::size_t written_ = 0;
  Timer timer_;
};

}  // namespace weir::admin
