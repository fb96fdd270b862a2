#include "proxy/stream.h"

#include <algorithm>

#include "http/authority.h"
#include "http/path.h"

namespace weir::proxy {

using http::BodyKind;
using http::FieldId;

Stream::Stream(WorkerContext& context, LocalRef<ListenerRuntime> listener, ClientStream& client,
               const ConnectionFacts& facts)
    : context_(context),
      listener_(std::move(listener)),
      client_(&client),
      facts_(facts),
      arena_(context.loop.buffers()),
      request_(arena_),
      request_trailers_(arena_),
      replay_(context.loop.buffers()),
      identity_{facts.peer, facts.peer, false},
      timer_(static_cast<TimerHandler&>(*this)),
      total_timer_(static_cast<TimerHandler&>(*this)),
      backoff_timer_(static_cast<TimerHandler&>(*this)),
      response_relay_(context.loop, context.pipes),
      request_relay_(context.loop, context.pipes),
      started_(context.loop.now()),
      started_wall_(context.loop.wall_now()) {}

filters::FilterChain::Call Stream::filter_call() {
  return {arena_, context_.loop.now(), client_text_};
}

// Kept if the client's is fit to be passed on, else made.
void Stream::note_request_id() {
  const http::Field* given = request_.fields.find(FieldId::x_request_id);
  if (given != nullptr && is_request_id(given->value())) {
    request_id_ = given->value();
    return;
  }
  char* made = arena_.allocate(RequestIds::kSize);
  context_.request_ids.write(made);
  request_id_ = {made, RequestIds::kSize};
}

void Stream::note_client() {
  if (identity_.client.family == IpAddress::Family::none) return;
  char* text = arena_.allocate(IpAddress::kMaxText);
  client_text_ = {text, identity_.client.format(text)};
}

void Stream::note_grpc() {
  grpc_ = request_.method != http::Method::connect && grpc::is_grpc(request_.fields);
}

void Stream::on_request_head() {
  head_seen_ = true;
  request_.adopt();
  advance(RequestEvent::head_read);
  note_grpc();
  const ListenerSettings& settings = *listener_->settings;
  note_request_id();
  identity_ = identify_client(request_, facts_.peer, settings.trusted_proxies);
  note_client();
  if (request_.method == http::Method::connect && !request_.upgrade_websocket)
    return reply(ReplyReason::connect_not_allowed);
  const ForwardingFacts facts{&identity_, facts_.scheme(), request_id_, settings.via, facts_.certificate};
  tell_of_client(request_, facts);
  if (!route()) return reply(ReplyReason::no_route);
  const Route& route = *route_->route;
  body_limit_ = route.body_bytes_max.value_or(settings.body_bytes_max);
  if (request_.body == BodyKind::length && request_.content_length > body_limit_) {
    return reply(ReplyReason::body_too_large);
  }
  prepare_request(request_, facts);
  if (!route.filters.empty()) {
    filter_state_ = route.filters.start(arena_);
    const filters::Action action = route.filters.apply_request_head(request_, filter_state_, filter_call());
    static_cast<void>(action);
  }
  if (route.redirect || route.respond) return redirect_or_respond();
  cluster_ = LocalRef<ClusterRuntime>(route_->choose_cluster(context_.loop.rng()));
  const ClusterSettings& cluster = cluster_->settings();
  cluster_->budget().count_request(context_.loop.now());
  idle_timeout_ = route.stream_idle_timeout.value_or(cluster.timeouts.stream_idle);
  Duration total = route.total_timeout.value_or(cluster.timeouts.total);
  if (grpc_ && !limit_by_grpc_timeout(total)) return reply(ReplyReason::bad_request);
  if (total != kForever) context_.loop.timers().arm(total_timer_, deadline_after(context_.loop.now(), total));
  // What a second try would have to send again is kept only where there can be one.
  keep_replay_ = cluster.retry.attempts > 1 && (cluster.retry.on_reset || cluster.retry.on_answers()) &&
                 (http::is_idempotent(request_.upgrade_websocket ? http::Method::get : request_.method) ||
                  std::ranges::find(cluster.retry.methods, request_.method_text) != cluster.retry.methods.end());
  if (client_awaits_100()) arm_request_timeout();
  start_attempt();
}

bool Stream::route() {
  std::string& scratch = context_.text_scratch;
  const std::size_t room = request_.path.size() + request_.authority.size();
  if (scratch.size() < room) scratch.resize(room);
  const std::span<char> path_room(scratch.data(), request_.path.size());
  const std::span<char> host_room(scratch.data() + request_.path.size(), request_.authority.size());
  const http::NormalPath path = http::normalise_path(request_.path, path_room);
  const std::string_view host = http::normalise_host(request_.authority, host_room);
  // An upgrade is a GET in HTTP/1.1, and an extended CONNECT in HTTP/2: routes need not know.
  const std::string_view method = request_.upgrade_websocket ? std::string_view("GET") : request_.method_text;
  route_ = context_.routes.find({host, path.path, method, request_.fields});
  return route_->route != nullptr;
}

void Stream::on_request_body(std::string_view data) {
  request_bytes_ += data.size();
  if (finished_) return;
  if (!tunnel_ && request_bytes_ > body_limit_) {
    if (response_ == ResponsePhase::waiting) return reply(ReplyReason::body_too_large);
    return break_off(ReplyReason::body_too_large);
  }
  if (response_ == ResponsePhase::done && !tunnel_) return;
  const bool keep = (keep_replay_ || keep_unprocessed_) && replay_complete_ && response_ == ResponsePhase::waiting;
  if (keep && (replay_.size() + data.size() <= kReplayBytes || hold_request())) {
    replay_.append(data);
    if (upstream_ != nullptr) upstream_->send_body(data);
  } else if (upstream_ != nullptr) {
    replay_complete_ = false;
    replay_.clear();
    upstream_->send_body(data);
  } else {
    // Waits for a connection; the client is held back meanwhile.
    replay_.append(data);
  }
  const std::size_t waiting = upstream_ != nullptr ? upstream_->unsent() : replay_.size();
  if (waiting > UpstreamStream::kHighWatermark || (upstream_ == nullptr && waiting >= kReplayBytes / 2)) {
    request_paused_ = true;
    client_->pause_request();
  }
  touch();
}

void Stream::on_request_end() {
  advance(RequestEvent::end_read);
  if (finished_) return;
  if (request_trailers_.size() > 0) clean_trailers(request_trailers_);
  if (upstream_ != nullptr) {
    upstream_->send_end(request_trailers_.size() > 0 ? &request_trailers_ : nullptr);
  }
  if (tunnel_) return end_tunnel_if_done();
  if (response_ == ResponsePhase::waiting) arm_request_timeout();
}

void Stream::arm_request_timeout() {
  const Duration timeout = route_->route->request_timeout.value_or(cluster_->settings().timeouts.request);
  context_.loop.timers().arm(timer_, deadline_after(context_.loop.now(), timeout));
}

void Stream::on_request_error(ReplyReason reason) {
  if (finished_) return;
  // Of a head that is refused: what was read of it tells how its client wants to hear of that. (Where an HTTP/1 message
  // may not be what it seems, its version can't be believed either.)
  if (!head_seen_ && request_.version == http::Version::http_2) note_grpc();
  if (response_ == ResponsePhase::waiting) return reply(reason);
  break_off(reason);
}

void Stream::on_client_gone() {
  if (finished_) return;
  drop_upstream();
  if (response_ == ResponsePhase::waiting) status_ = 0;
  finished_ = true;
  if (head_seen_) record();
  context_.loop.retire(*this);
}

void Stream::on_timer(Timer& timer) {
  if (finished_) return;
  if (&timer == &backoff_timer_) {
    return holding_ ? end_hold() : start_attempt();
  }
  if (&timer == &timer_ && goes_on_although_late()) return;
  if (response_ == ResponsePhase::waiting) return reply(ReplyReason::upstream_timeout);
  break_off(ReplyReason::upstream_timeout);
}

// All that the client may send before a 100 has come (RFC 9110 10.1.1): the backend has to say something.
bool Stream::client_awaits_100() const {
  return request_.expect_continue && !told_to_continue_ && request_bytes_ == 0 && request_.body != BodyKind::none &&
         request_phase_ == RequestPhase::body;
}

// Something moved: the stream's idle time begins anew. Between the request's end and the response's head it is the
// request timeout that runs.
void Stream::touch() {
  if (response_ == ResponsePhase::waiting && (request_phase_ == RequestPhase::done || client_awaits_100())) return;
  context_.loop.timers().arm(timer_, deadline_after(context_.loop.now(), idle_timeout_));
}

// The idle time is over. Who takes what waits for it, though too slowly for a watermark to be reached, is not silent;
// and a client that doesn't send its body is the business of its connection's timers.
bool Stream::goes_on_although_late() {
  if (response_ == ResponsePhase::waiting && !response_paused_) {
    if (request_phase_ == RequestPhase::done || client_awaits_100()) return false;
    if (!request_paused_ && !request_held_back()) {
      touch();
      return true;
    }
  }
  TimePoint last = client_->last_written();
  if (upstream_ != nullptr) last = std::max(last, upstream_->last_written());
  const TimePoint deadline = deadline_after(last, idle_timeout_);
  if (deadline <= context_.loop.now()) return false;
  context_.loop.timers().arm(timer_, deadline);
  return true;
}

void Stream::destroy() {
  context_.streams.destroy(this);
}

}  // namespace weir::proxy
