#include <algorithm>

#include "proxy/downstream.h"
#include "proxy/stream.h"

namespace weir::proxy {

using http::BodyKind;

namespace {

// How long a request waits with more than could be sent again, where it is not known what the backend speaks. Who
// speaks HTTP/2 says so as soon as it is connected to.
constexpr Duration kHold = 100ms;

// No connection was tried: it has as many as it may, or we had no socket or port for one. Another may do.
bool says_nothing_of_backend(UpstreamFailure failure) {
  return failure == UpstreamFailure::overloaded || failure == UpstreamFailure::own_trouble;
}

}  // namespace

// Tries until one is under way, waits for a connection, or the request is answered.
void Stream::start_attempt() {
  while (!finished_) {
    forget_old_positions();
    BackendRuntime* backend = same_again();
    if (backend == nullptr && sweep_left_ > 0) backend = next_of_sweep();
    if (backend == nullptr) backend = cluster_->pick({tried_.data(), tried_count_}, 0);
    if (backend == nullptr) return reply(ReplyReason::no_healthy_backend);
    if (begin_try(*backend)) return;
  }
}

// What was found out about a backend is of use there alone.
BackendRuntime* Stream::same_again() {
  if (!std::exchange(same_again_, false) || backend_->position == balancing::kNoBackend) return nullptr;
  return cluster_->takes_requests(backend_->position) ? &*backend_ : nullptr;
}

// True if the try is under way, or the next one is scheduled; false: pick again.
bool Stream::begin_try(BackendRuntime& backend) {
  pool_ = &pool_at(backend);
  const Pool::Acquired acquired = pool_->acquire(*this, fresh_connection_);
  if (acquired.status == Pool::Acquired::Status::refused && says_nothing_of_backend(acquired.error.failure)) {
    if (pass_over(backend.position)) return false;
    reply(ReplyReason::overloaded);
    return true;
  }
  context_.release_later(std::move(backend_));
  backend_ = LocalRef<BackendRuntime>(&backend);
  ++attempts_;
  in_attempt_ = true;
  attempt_started_ = context_.loop.now();
  cluster_->attempt_started(backend, *this);
  switch (acquired.status) {
    case Pool::Acquired::Status::ready:
      upstream_ = acquired.stream;
      send_request();
      return true;
    case Pool::Acquired::Status::pending:
      // The request's time runs while it waits, once it has been read.
      return true;
    case Pool::Acquired::Status::refused:
      attempt_failed(acquired.error);
      return true;
  }
  return true;
}

// Full is not broken, nor is what we lack its fault: the others are asked, each once, and it is no try. False if there
// are none.
bool Stream::pass_over(std::uint32_t position) {
  forget_old_positions();
  if (position == balancing::kNoBackend) return true;  // it has left; the others are as new
  if (sweeping_) return sweep_left_ > 0;
  if (was_tried(position)) return false;
  if (tried_count_ < tried_.size()) {
    tried_[tried_count_++] = position;
    return true;
  }
  // More are full than can be noted down: the rest is asked in a row.
  const auto size = static_cast<std::uint32_t>(cluster_->backends().size());
  sweeping_ = true;
  sweep_at_ = static_cast<std::uint32_t>(context_.loop.rng().below(size));
  sweep_left_ = size;
  return true;
}

// Null at its end.
BackendRuntime* Stream::next_of_sweep() {
  while (sweep_left_ > 0) {
    --sweep_left_;
    const std::uint32_t position = sweep_at_;
    sweep_at_ = (sweep_at_ + 1) % static_cast<std::uint32_t>(cluster_->backends().size());
    if (cluster_->takes_requests(position) && !was_tried(position)) return cluster_->backends()[position].get();
  }
  return nullptr;
}

bool Stream::was_tried(std::uint32_t position) const {
  const auto end = tried_.begin() + tried_count_;
  return std::find(tried_.begin(), end, position) != end;
}

void Stream::forget_old_positions() {
  if (tried_epoch_ == cluster_->epoch()) return;
  tried_epoch_ = cluster_->epoch();
  tried_count_ = sweep_left_ = 0;
  sweeping_ = false;
}

// Where backends are told of clients, no client's request goes over another's connection.
Pool& Stream::pool_at(BackendRuntime& backend) {
  if (!cluster_->settings().proxy_protocol) return backend.pool;
  Downstream& connection = client_->connection();
  if (Pool* own = backend.pool.find_for(connection.pools())) return *own;
  return backend.pool.make_for(connection.pools(), connection.ends());
}

// HTTP/1.0 clients may do without, neither HTTP/1.1 nor HTTP/2 can: it is the backend's own then.
void Stream::say_host() {
  if (request_.fields.has(http::FieldId::host) && !host_is_backends_) return;
  request_.fields.remove(http::FieldId::host);
  request_.fields.add("host", arena_.copy(pool_->backend().authority()), http::FieldId::host);
  host_is_backends_ = true;
}

void Stream::send_request() {
  say_host();
  if (grpc_) say_grpc_timeout();
  upstream_->send_head(request_);
  if (!keep_replay_ && request_.body != BodyKind::none) {
    keep_unprocessed_ = upstream_->may_be_misunderstood() ||
                        (upstream_->tells_unprocessed() && cluster_->settings().retry.attempts > 1);
  }
  Buffer& kept = replay_;
  if (kept.size() > 0) {
    kept.for_each_piece([this](std::string_view piece) { upstream_->send_body(piece); });
    if (!(keep_replay_ || keep_unprocessed_) || (kept.size() > kReplayBytes && !hold_request())) {
      replay_complete_ = false;
      kept.clear();
    }
  }
  if (request_phase_ == RequestPhase::done) {
    upstream_->send_end(request_trailers_.size() > 0 ? &request_trailers_ : nullptr);
  }
  // Above the high watermark the stream tells when it has gone down.
  if (request_paused_ && upstream_->unsent() <= UpstreamStream::kHighWatermark) on_request_writable();
}

// More than kReplayBytes of the request are to be kept: true if they are, since it may have been said in the wrong
// protocol. Nothing further is read then, until it is clear or has taken too long.
bool Stream::hold_request() {
  if (holding_) return true;
  if (held_before_ || upstream_ == nullptr || !upstream_->may_be_misunderstood()) return false;
  if (pool_->backend().protocol() != SpokenProtocol::unknown) return false;
  over_kept_ = true;
  if (request_phase_ == RequestPhase::done) return true;
  holding_ = held_before_ = true;
  context_.loop.timers().arm(backoff_timer_, context_.loop.now() + kHold);
  request_paused_ = true;
  client_->pause_request();
  return true;
}

// What the backend says, or that it says nothing, has made it clear.
void Stream::end_hold() {
  if (!std::exchange(holding_, false)) return;
  context_.loop.timers().disarm(backoff_timer_);
  if (upstream_->unsent() <= UpstreamStream::kHighWatermark) on_request_writable();
}

void Stream::on_lease(UpstreamStream& stream) {
  upstream_ = &stream;
  send_request();
}

void Stream::on_lease_failed(const UpstreamError& error) {
  if (!says_nothing_of_backend(error.failure)) return attempt_failed(error);
  // It was full, and other workers had nothing to spare: as if it had been refused at once.
  in_attempt_ = false;
  --attempts_;
  cluster_->attempt_ended(*backend_, *this);
  if (!pass_over(backend_->position)) return reply(ReplyReason::overloaded);
  // Not from here: its pool goes through those that wait.
  context_.loop.timers().arm(backoff_timer_, context_.loop.now());
}

void Stream::on_upstream_failed(const UpstreamError& error) {
  upstream_ = nullptr;
  stop_request_relay();
  if (tunnel_) {
    end_attempt(upstream_status_);
    return break_off(ReplyReason::none);
  }
  if (response_ != ResponsePhase::waiting) {
    end_attempt(upstream_status_);
    return break_off(reason_of(error.failure));
  }
  attempt_failed(error);
}

void Stream::attempt_failed(const UpstreamError& error) {
  upstream_ = nullptr;
  if (error.failure == UpstreamFailure::connect_refused && cluster_->settings().health_checked) {
    cluster_->mark_unusable(*backend_);
  }
  bool free_of_charge = false;
  bool stale = false;
  const std::uint32_t position = backend_->position;
  const bool retry = may_retry(error, free_of_charge, stale);
  end_attempt(0);
  if (!retry) {
    if (error.failure == UpstreamFailure::connect_refused && !cluster_->any_usable()) {
      return reply(ReplyReason::no_healthy_backend);
    }
    return reply(reason_of(error.failure));
  }
  // The same backend may well be fine: only its kept connections are not to be trusted.
  if (stale) (error.misunderstood ? same_again_ : fresh_connection_) = true;
  try_elsewhere(position, to_string(error.failure), stale);
}

// The backend accepts connections and never answers, or is too slow to be asked.
void Stream::on_backend_failing() {
  if (finished_ || !in_attempt_ || response_ != ResponsePhase::waiting || !cluster_->any_usable()) return;
  UpstreamError error;
  error.failure = upstream_ == nullptr ? UpstreamFailure::connect_timeout : UpstreamFailure::reset;
  error.written = upstream_ != nullptr;
  bool free_of_charge = false;
  bool stale = false;
  // What may not be tried again waits on: the backend may yet answer within the request's time.
  if (!may_retry(error, free_of_charge, stale)) return;
  const std::uint32_t position = backend_->position;
  drop_upstream();
  try_elsewhere(position, to_string(error.failure), stale);
}

namespace {

// Why an answer is one that `retry.on` names; empty if it is not.
std::string_view named_by(const ClusterSettings::Retry& policy, const http::ResponseHead& head, bool grpc) {
  if (!policy.on_answers()) return {};
  if (policy.on_502 && head.status == 502) return "502";
  if (policy.on_503 && head.status == 503) return "503";
  if (policy.on_504 && head.status == 504) return "504";
  if (!policy.on_unavailable || !grpc) return {};
  const bool unavailable = !head.has_body() && grpc::status_in(head.fields) == grpc::Status::unavailable;
  return unavailable ? "unavailable" : std::string_view();
}

}  // namespace

// An answer that is not to be passed on while there may be a better one. It was the backend's answer nevertheless, and
// counts as such.
bool Stream::try_instead_of(const http::ResponseHead& head) {
  const ClusterSettings::Retry& policy = cluster_->settings().retry;
  const std::string_view why = named_by(policy, head, grpc_);
  if (why.empty() || !keep_replay_ || !may_be_sent_again() || attempts_ >= policy.attempts) return false;
  if (!cluster_->budget().take(context_.loop.now(), policy.budget)) return false;
  const std::uint32_t position = backend_->position;
  drop_upstream();
  upstream_status_ = 0;
  try_elsewhere(position, why, false);
  return true;
}

void Stream::try_elsewhere(std::uint32_t position, std::string_view why, bool stale) {
  if (stale) {
    --attempts_;
    ++stale_retries_;
  } else {
    forget_old_positions();
    if (tried_count_ < tried_.size() && position != balancing::kNoBackend) tried_[tried_count_++] = position;
  }
  cluster_->retries(why).add(1);
  schedule_retry(stale || attempts_ < 2);
}

bool Stream::may_retry(const UpstreamError& error, bool& free_of_charge, bool& stale) {
  const ClusterSettings::Retry& policy = cluster_->settings().retry;
  const bool connecting =
      error.failure == UpstreamFailure::connect_refused || error.failure == UpstreamFailure::connect_failed ||
      error.failure == UpstreamFailure::connect_timeout || error.failure == UpstreamFailure::tls_failed;
  // What was said of one stream of a connection that goes on is an answer to this try.
  const bool may_be_stale = error.reused && !error.connection_stays && stale_retries_ < 3;
  // It was asked in the wrong way: nothing was tried yet.
  if (error.misunderstood && replay_complete_ && stale_retries_ < 3) return stale = free_of_charge = true;
  if (!may_be_sent_again()) return false;
  // A kept connection that turned out closed before a byte of this request went into it: nothing was tried yet.
  if (error.failure == UpstreamFailure::reset && may_be_stale && !error.written) return stale = free_of_charge = true;
  if (policy.attempts <= 1) return false;
  // Whatever the method. What a connection said that is about to go is no more than a stale one's end.
  if (error.unprocessed && (policy.on_connect_failure || policy.on_reset)) {
    free_of_charge = true;
    if (may_be_stale) return stale = true;
    return attempts_ < policy.attempts;
  }
  if (connecting) {
    free_of_charge = true;
    return policy.on_connect_failure && attempts_ < policy.attempts;
  }
  if (error.failure != UpstreamFailure::reset || !policy.on_reset || !keep_replay_) return false;
  if (may_be_stale && !error.answered) return stale = free_of_charge = true;
  return attempts_ < policy.attempts && cluster_->budget().take(context_.loop.now(), policy.budget);
}

// The first retry goes out at once, to another backend if there is one; later ones wait longer and longer.
void Stream::schedule_retry(bool at_once) {
  const ClusterSettings::Retry& policy = cluster_->settings().retry;
  Duration wait = Duration::zero();
  if (!at_once || (tried_count_ > 0 && cluster_->backends().size() <= tried_count_)) {
    const std::uint32_t doublings = std::min<std::uint32_t>(attempts_ > 0 ? attempts_ - 1 : 0, 20);
    wait = std::min(policy.backoff_max, policy.backoff_base * (std::int64_t{1} << doublings));
    wait =
        Duration(static_cast<std::int64_t>(static_cast<double>(wait.count()) * (0.5 + context_.loop.rng().unit() / 2)));
    if (fresh_connection_ && stale_retries_ > 0 && tried_count_ == 0) wait = Duration::zero();
  }
  context_.loop.timers().arm(backoff_timer_, deadline_after(context_.loop.now(), wait));
}

void Stream::end_attempt(std::uint16_t status) {
  if (!in_attempt_) return;
  in_attempt_ = holding_ = over_kept_ = false;
  cluster_->attempt_ended(*backend_, *this);
  const Duration took = context_.loop.now() - attempt_started_;
  upstream_time_ += took;
  BackendRuntime& backend = *backend_;
  ++backend.requests;
  const std::string_view cluster = cluster_->settings().name;
  const std::string_view name = backend.pool.backend().name();
  backend.statuses
      .get(status,
           [&] {
             return context_.metrics.counter(observe::Family::kBackendRequests,
                                             {cluster, name, observe::status_label(status)});
           })
      .add(1);
  if (!backend.duration) {
    backend.duration = context_.metrics.histogram(observe::Family::kBackendRequestDuration, {cluster, name});
  }
  backend.duration->observe(static_cast<std::uint64_t>(took.count()));
}

// Gives back whatever is borrowed or waited for.
void Stream::drop_upstream() {
  response_relay_.stop();
  stop_request_relay();
  response_paused_ = false;
  context_.loop.timers().disarm(backoff_timer_);
  if (upstream_ != nullptr) {
    upstream_->cancel();
    upstream_ = nullptr;
  } else if (in_attempt_) {
    pool_->give_up(*this);
  }
  end_attempt(upstream_status_);
}

void Stream::on_request_writable() {
  if (finished_) return;
  if (tunnel_ && request_phase_ == RequestPhase::done) return end_tunnel_if_done();
  if (!request_paused_ || holding_) return;
  request_paused_ = false;
  client_->resume_request();
}

SpliceRelay* Stream::splice_request(std::uint64_t remaining) {
  if (tunnel_ || upstream_ == nullptr || replay_.size() > 0 || response_ != ResponsePhase::waiting) return nullptr;
  if (request_.body != BodyKind::length) return nullptr;
  if ((keep_replay_ || keep_unprocessed_) && replay_complete_ && request_bytes_ < kReplayBytes) return nullptr;
  if (client_->splice_source() == kNoSocket || upstream_->splice_socket() == kNoSocket) return nullptr;
  if (!request_relay_.start(client_->splice_source(), upstream_->splice_socket(), upstream_->flusher(), remaining)) {
    return nullptr;
  }
  replay_complete_ = false;
  touch();
  upstream_->pump_request_from(&request_relay_);
  return &request_relay_;
}

void Stream::on_request_pumped(SpliceRelay::Pumped pumped) {
  request_bytes_ += pumped.bytes;
  client_->request_moved(pumped.bytes, request_held_back());
  if (pumped.bytes > 0) touch();
  using Outcome = SpliceRelay::Outcome;
  if (pumped.outcome == Outcome::waiting || pumped.outcome == Outcome::unfinished) return;
  stop_request_relay();
}

// The client's connection must know what was taken from its socket, or it would take the next request for the rest of a
// body.
void Stream::stop_request_relay() {
  if (!request_relay_.active()) return;
  if (upstream_ != nullptr) upstream_->pump_request_from(nullptr);
  const std::uint64_t taken = request_relay_.taken();
  request_relay_.stop();
  client_->end_diversion(taken);
}

}  // namespace weir::proxy
