#include "upstream/pool/connecting.h"

#include <cerrno>

#include "upstream/pool/pool.h"

namespace weir {

UpstreamConnecting::UpstreamConnecting(Pool& pool, EventLoop& loop, ConnectionWish wish)
    : pool_(pool), context_(pool.context()), io_(loop), timer_(static_cast<TimerHandler&>(*this)), wish_(wish) {}

Result<void> UpstreamConnecting::start(SocketId socket, TimePoint deadline) {
  io_.open(socket);
  io_.loop().timers().arm(timer_, deadline);
  return io_.loop().engine().watch(socket, *this);
}

void UpstreamConnecting::abandon() {
  finish();
}

void UpstreamConnecting::on_ready(Readiness readiness) {
  readiness_.bits |= readiness.bits;
  switch (state_) {
    case State::connecting:
      return on_tcp_ready();
    case State::announcing:
      return announce();
    case State::done:
      return;
  }
}

void UpstreamConnecting::on_tcp_ready() {
  const int error = io_.loop().engine().connect_error(io_.socket());
  if (error == EINPROGRESS) return;
  if (error != 0) {
    return fail(error == ECONNREFUSED ? UpstreamFailure::connect_refused : UpstreamFailure::connect_failed);
  }
  if (pool_.opening().empty()) return connected();
  state_ = State::announcing;
  io_.output().append(pool_.opening());
  announce();
}

// At once, not with the turn's other output: what comes next may not go through the same hands (TLS).
void UpstreamConnecting::announce() {
  std::size_t sent = 0;
  switch (io_.flush(sent)) {
    case Transport::Flush::done:
      return connected();
    case Transport::Flush::blocked:
      return;
    case Transport::Flush::failed:
      return fail(UpstreamFailure::connect_failed);
  }
}

void UpstreamConnecting::connected() {
  Pool& pool = pool_;
  ListNode<PoolTag>::unlink();
  pool.on_connected(*this, wish_ == ConnectionWish::http2, readiness_);
  finish();
}

void UpstreamConnecting::fail(UpstreamFailure failure) {
  Pool& pool = pool_;
  finish();
  pool.on_connect_failed(*this, failure);
}

void UpstreamConnecting::on_timer(Timer&) {
  if (state_ != State::done) fail(UpstreamFailure::connect_timeout);
}

void UpstreamConnecting::finish() {
  state_ = State::done;
  ListNode<PoolTag>::unlink();
  io_.close();
  io_.loop().timers().disarm(timer_);
  io_.loop().retire(*this);
}

void UpstreamConnecting::destroy() {
  context_.connecting.destroy(this);
}

}  // namespace weir
