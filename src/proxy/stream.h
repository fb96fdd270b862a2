#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/local_ref.h"
#include "filters/filter.h"
#include "http/grpc.h"
#include "proxy/client_stream.h"
#include "proxy/connection_facts.h"
#include "proxy/context.h"
#include "proxy/exchange_phase.h"
#include "proxy/forwarding.h"
#include "proxy/reply_reason.h"

namespace weir::proxy {

// One request with its response: routes it, tries it at backends, passes both directions on, counts and logs it. Made
// by the client's connection when the first byte of a request is there, destroyed at the end of the turn in which it
// finished. See LIFECYCLE.md. One thread.
class Stream final : private UpstreamHandler, private Attempt, private TimerHandler, private Retired {
 public:
  // `facts` are the connection's, and stay as long as `client` does.
  Stream(WorkerContext& context, LocalRef<ListenerRuntime> listener, ClientStream& client,
         const ConnectionFacts& facts);

  // What the connection reads into.
  http::RequestHead& request() { return request_; }
  http::FieldList& request_trailers() { return request_trailers_; }

  // From the client's connection.
  void on_request_head();
  void on_request_body(std::string_view data);
  void on_request_end();
  // The request can't be read: answer, and close.
  void on_request_error(ReplyReason reason);
  // The client is gone: stop everything. finished() of the connection is not called.
  void on_client_gone();
  // The output has gone out down to the low watermark.
  void on_response_writable();
  // The client holds back too much of it.
  void on_response_held_too_long();
  void on_response_pumped(SpliceRelay::Pumped pumped);
  // Whether the request's body may be moved by a relay from now on; null if not.
  SpliceRelay* splice_request(std::uint64_t remaining);

  // While a relay moves the request's body: whether it waits for the backend, not for the client.
  bool request_held_back() const {
    return request_relay_.held_back() || (upstream_ != nullptr && upstream_->unsent() > 0);
  }

  // Bytes of the request's body that the backend has not taken yet, or that are kept for another try.
  std::size_t request_kept() const { return replay_.size() + (upstream_ != nullptr ? upstream_->unsent() : 0); }
  bool head_seen() const { return head_seen_; }
  bool response_started() const { return response_ != ResponsePhase::waiting; }
  bool in_tunnel() const { return tunnel_; }
  std::uint64_t body_limit() const { return body_limit_; }

 private:
  // As much of a request's body is kept for another try.
  static constexpr std::size_t kReplayBytes = 64 * 1024;

  void advance(RequestEvent event) { kRequestTable.advance(request_phase_, event); }
  void advance(ResponseEvent event) { kResponseTable.advance(response_, event); }

  // stream.cc: the request's way in.
  bool route();
  void redirect_or_respond();
  void note_request_id();
  void note_client();
  void note_grpc();

  // stream_grpc.cc
  bool limit_by_grpc_timeout(Duration& total);
  void say_grpc_timeout();
  void reply_to_grpc(ReplyReason reason);
  grpc::Status grpc_outcome() const;
  void record_grpc(RouteRuntime& route);

  // stream_attempt.cc: tries at backends.
  void start_attempt();
  BackendRuntime* same_again();
  bool begin_try(BackendRuntime& backend);
  bool pass_over(std::uint32_t position);
  BackendRuntime* next_of_sweep();
  bool was_tried(std::uint32_t position) const;
  void forget_old_positions();
  Pool& pool_at(BackendRuntime& backend);
  void say_host();
  void send_request();
  bool hold_request();
  void end_hold();
  bool may_be_sent_again() const { return replay_complete_ && !over_kept_; }
  void attempt_failed(const UpstreamError& error);
  bool may_retry(const UpstreamError& error, bool& free_of_charge, bool& stale);
  bool try_instead_of(const http::ResponseHead& head);
  void try_elsewhere(std::uint32_t position, std::string_view why, bool stale);
  void schedule_retry(bool at_once);
  void on_backend_failing() override;
  void end_attempt(std::uint16_t status);
  void drop_upstream();
  bool wants_tunnel() const override { return request_.upgrade_websocket; }
  void on_lease(UpstreamStream& stream) override;
  void on_lease_failed(const UpstreamError& error) override;
  void on_upstream_failed(const UpstreamError& error) override;
  void on_request_writable() override;
  void on_request_pumped(SpliceRelay::Pumped pumped) override;

  // stream_response.cc: the response's way out.
  void on_informational(http::ResponseHead& head) override;
  void on_response_head(http::ResponseHead& head) override;
  void on_response_body(std::string_view data) override;
  std::size_t response_room() override;
  void on_response_held(std::size_t bytes) override { client_->note_held(bytes); }
  void on_response_end(http::FieldList* trailers) override;
  SpliceRelay* splice_response(std::uint64_t remaining) override;
  bool would_be_a_tunnel(std::uint16_t status) const;
  void begin_tunnel(http::ResponseHead& head);
  void reply(ReplyReason reason);
  void prepare(http::ResponseHead& head);
  void reply_with(http::ResponseHead& head, std::string_view body);
  void break_off(ReplyReason reason);
  void finish();
  void count(const RouteRuntime& route, RouteCells& cells, Duration took);
  void record();

  void on_timer(Timer& timer) override;
  void destroy() override;
  void touch();
  bool client_awaits_100() const;
  void arm_request_timeout();
  void close_unless_read_soon();
  bool goes_on_although_late();
  void stop_request_relay();
  void end_tunnel_if_done();
  filters::FilterChain::Call filter_call();

  WorkerContext& context_;
  LocalRef<ListenerRuntime> listener_;
  LocalRef<RouteRuntime> route_;
  LocalRef<ClusterRuntime> cluster_;
  LocalRef<BackendRuntime> backend_;
  ClientStream* client_;
  const ConnectionFacts& facts_;
  UpstreamStream* upstream_ = nullptr;
  Pool* pool_ = nullptr;  // of the attempt under way

  Arena arena_;
  http::RequestHead request_;
  http::FieldList request_trailers_;
  Buffer replay_;  // body bytes that a further try would have to send again, or that wait for a connection
  filters::FilterChain::Stream filter_state_;
  ClientIdentity identity_;
  std::string_view request_id_;
  std::string_view client_text_;

  Timer timer_;  // stream_idle while bodies move, the request timeout in between, or the tunnel's idle timeout
  Timer total_timer_;
  Timer backoff_timer_;
  SpliceRelay response_relay_;
  SpliceRelay request_relay_;

  TimePoint started_;
  WallTime started_wall_;
  TimePoint attempt_started_{};
  Duration upstream_time_{};
  Duration idle_timeout_ = kForever;
  TimePoint grpc_deadline_ = kNever;  // what the client's grpc-timeout came to
  char* grpc_timeout_text_ = nullptr;
  std::uint64_t request_bytes_ = 0;
  std::uint64_t response_bytes_ = 0;
  std::uint64_t body_limit_ = UINT64_MAX;
  std::array<std::uint32_t, 16> tried_{};
  std::uint32_t tried_count_ = 0;
  std::uint32_t tried_epoch_ = 0;
  std::uint32_t sweep_at_ = 0;  // where the search goes on for one that is not full, and how many are left to ask
  std::uint32_t sweep_left_ = 0;
  std::uint32_t attempts_ = 0;
  std::uint32_t stale_retries_ = 0;
  std::uint16_t status_ = 0;
  std::uint16_t upstream_status_ = 0;
  ReplyReason reason_ = ReplyReason::none;
  std::optional<grpc::Status> grpc_status_;  // that the backend has sent
  RequestPhase request_phase_ = RequestPhase::head;
  ResponsePhase response_ = ResponsePhase::waiting;
  bool head_seen_ = false;
  bool grpc_ = false;
  bool in_attempt_ = false;
  bool keep_replay_ = false;       // a further try is still possible with what was kept
  bool keep_unprocessed_ = false;  // ... if the backend says that it has not processed this one
  bool replay_complete_ = true;    // replay_ holds all of the body so far
  bool sweeping_ = false;          // all backends are asked in a row, or have been
  bool fresh_connection_ = false;
  bool same_again_ = false;   // the next try is at the backend of the last one
  bool holding_ = false;      // the request is paused for as long as backoff_timer_ says
  bool held_before_ = false;  // ... and is not to be again
  bool over_kept_ = false;  // replay_ holds too much to be tried again for any reason but UpstreamError::misunderstood
  bool told_to_continue_ = false;
  bool host_is_backends_ = false;
  bool request_paused_ = false;
  bool response_paused_ = false;
  bool tunnel_ = false;
  bool finished_ = false;
};

}  // namespace weir::proxy
