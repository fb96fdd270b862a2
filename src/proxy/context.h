#pragma once

#include <string>

#include "base/slab.h"
#include "http/date.h"
#include "net/handshake_queue.h"
#include "net/splice_relay.h"
#include "net/transport.h"
#include "observe/metric_store.h"
#include "proxy/request_id.h"
#include "proxy/route_runtime.h"
#include "proxy/worker.h"
#include "upstream/pool/pool.h"

namespace weir::proxy {

class Downstream;
class Http1Downstream;
class ProxyOpening;
class TlsOpening;
class Http2ClientStream;
class Http2Downstream;
class Stream;
struct DownstreamTag;

// What all connections and streams of one worker use. One thread.
struct WorkerContext {
  explicit WorkerContext(WorkerEnvironment given);
  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;
  ~WorkerContext();

  WorkerEnvironment environment;
  EventLoop& loop;
  observe::MetricStore& metrics;
  ReadScratch scratch;
  std::string text_scratch;  // for paths and hosts in normal form; grows to the longest
  PipePool pipes;
  PoolContext pools;
  http::DateCache date;
  RequestIds request_ids;
  RouteRuntimes routes;
  Slab<Stream> streams;
  Slab<Http1Downstream> connections;
  Slab<ProxyOpening> openings;
  Slab<TlsOpening> tls_openings;
  HandshakeQueue handshakes;  // with clients; those with backends have a share of their own
  HandshakeQueue upstream_handshakes;
  Slab<Http2Downstream> http2_connections;
  Slab<Http2ClientStream> http2_streams;
  IntrusiveList<Downstream, DownstreamTag> open;
  observe::CounterRef requests_total;
  observe::GaugeRef connections_gauge;
  bool draining = false;

  // Lets go of `backend` at the end of the turn, when nothing of it can be on the stack any more.
  void release_later(LocalRef<BackendRuntime> backend);

 private:
  class Releaser final : public Retired {
   public:
    void destroy() override { held.clear(); }
    std::vector<LocalRef<BackendRuntime>> held;
  };
  Releaser releaser_;
};

}  // namespace weir::proxy
