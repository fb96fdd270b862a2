#pragma once

#include <string_view>

#include "net/transport.h"
#include "proxy/context.h"
#include "proxy/downstream.h"

namespace weir::proxy {

// A client's connection whose PROXY header has not come yet. Once it is read, the address it told of is the
// connection's peer, and the connection goes on in its codec's object. Without a good header within header_timeout it
// is closed. Made from the worker's slab, destroyed at the end of the turn in which it ended. See LIFECYCLE.md. One
// thread.
class ProxyOpening final : public Downstream,
                           private ReadinessHandler,
                           private Resumable,
                           private Retired,
                           private TimerHandler {
 public:
  ProxyOpening(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts);
  ~ProxyOpening();

  // A socket that was just accepted, or handed over by another worker.
  Result<void> start(SocketId socket);
  void drain() override;
  void cut() override;

 private:
  void on_ready(Readiness readiness) override;
  void resume() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  void read();
  void go_on();
  // Closes without an answer: what is spoken there is not known. An empty reason is not counted.
  void refuse(std::string_view reason);
  void close();

  Transport io_;
  Timer timer_;
  bool peer_fin_ = false;  // FIN announced: read to the end
  bool over_ = false;
};

// Whether a PROXY header is believed from there: from everybody where no proxies are named.
bool may_send_proxy_header(const ListenerSettings& settings, const IpAddress& peer);

}  // namespace weir::proxy
