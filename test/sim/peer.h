#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/descriptor_budget.h"
#include "net/event_loop.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "sim/peer_tls.h"
#include "sim/streamed_body.h"

namespace weir::sim {

// The machines around the proxy: one engine and one loop for all clients and backends.
class Outside {
 public:
  explicit Outside(SimWorld& world);
  ~Outside();

  SimWorld& world() { return world_; }
  SimEngine& engine() { return engine_; }
  // Where connections come from that are made from now on.
  void set_ip(std::string_view ip) { engine_.set_ip(*IpAddress::parse(ip)); }

 private:
  SimWorld& world_;
  DescriptorBudget budget_{10'000'000, 0};
  SimEngine engine_;
  EventLoop loop_;
};

// One end of a connection outside of the proxy: sends what it is told as the network takes it, and reads whatever
// comes, unless told to stop. Lives until the end of the simulation.
class Peer : private ReadinessHandler {
 public:
  explicit Peer(Outside& outside) : outside_(outside) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  // From here on TLS is spoken; `early` has been read already.
  void secure(std::unique_ptr<PeerTls> tls, std::string_view early = {});
  void connect(const SocketAddress& to);
  void adopt(SocketId accepted);

  void send(std::string_view bytes);
  // A streamed body of this size, made as the network takes it. Nothing is sent behind it before it has gone.
  void stream_body(std::uint64_t size);
  // FIN, behind what is still to be sent.
  void half_close();
  void close();
  void reset();
  void stop_reading() { reading_ = false; }
  void go_on_reading();

  bool is_open() const { return socket_ != kNoSocket; }
  bool is_secure() const { return tls_ != nullptr; }
  // Null if it is in the clear.
  const PeerTls* tls() const { return tls_.get(); }
  bool connected() const { return connected_; }
  bool got_fin() const { return got_fin_; }
  bool got_reset() const { return got_reset_; }
  // The peer has ended the connection in one way or the other.
  bool ended() const { return got_fin_ || got_reset_; }
  // Given to send(), and not yet taken by the network.
  std::size_t unsent() const {
    return out_.size() - out_sent_ + streamed_.left() + (tls_ == nullptr ? 0 : tls_->waiting());
  }
  std::uint64_t sent_bytes() const { return sent_bytes_; }

  // The network takes at most this many bytes in all from now on; what is beyond waits.
  void hold_back_after(std::uint64_t bytes) { hold_after_ = sent_bytes_ + bytes; }
  void release();
  // Bytes of the wire, between the records that TLS makes.
  void inject(std::string_view bytes);
  // The connection ends, without a word of TLS: now, or behind so many further bytes.
  void abandon();
  void abandon_after(std::uint64_t bytes) { abandon_after_ = sent_bytes_ + bytes; }

  Outside& outside() { return outside_; }

 protected:
  virtual void on_bytes(std::string_view bytes) = 0;
  // FIN or reset came.
  virtual void on_ended() {}
  virtual void on_connected() {}

 private:
  void on_ready(Readiness readiness) override;
  void write();
  // What has been written goes, and more of a streamed body comes.
  void refill();
  void read();
  // A handshake goes on also where nothing is read.
  bool reads_on() const { return is_open() && (reading_ || (tls_ != nullptr && !tls_->established())) && !ended(); }
  // Hands on what there is, for as long as it is wanted.
  void decrypt();
  void take_from_tls();

  Outside& outside_;
  SocketId socket_ = kNoSocket;
  std::unique_ptr<PeerTls> tls_;
  std::string out_;  // for the wire
  std::size_t out_sent_ = 0;
  StreamedSource streamed_;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t hold_after_ = UINT64_MAX;
  std::uint64_t abandon_after_ = UINT64_MAX;
  bool connected_ = false;
  bool reading_ = true;
  bool fin_wanted_ = false;
  bool fin_sent_ = false;
  bool got_fin_ = false;
  bool got_reset_ = false;
};

}  // namespace weir::sim
