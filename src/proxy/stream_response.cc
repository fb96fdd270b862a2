#include <fmt/format.h>

#include <algorithm>

#include "proxy/redirect.h"
#include "proxy/stream.h"

namespace weir::proxy {

using http::BodyKind;
using http::FieldId;

// As the client gets it; before the route's own fields and filters, which have the last word.
void Stream::prepare(http::ResponseHead& head) {
  prepare_response(head, {request_id_, context_.date.at(context_.loop.wall_now()), listener_->settings->via});
}

void Stream::on_informational(http::ResponseHead& head) {
  if (head.status == 100) told_to_continue_ = true;
  // The backend asked for the rest of the body or tells of things to come: either way it is at work.
  touch();
  end_hold();
  prepare(head);
  client_->send_informational(head);
}

void Stream::on_response_head(http::ResponseHead& head) {
  upstream_status_ = head.status;
  if (head.status == 101 && !request_.upgrade_websocket) {
    drop_upstream();
    return reply(ReplyReason::upstream_protocol_error);
  }
  if (head.status != 101 && would_be_a_tunnel(head.status)) {
    drop_upstream();
    return reply(ReplyReason::upstream_protocol_error);
  }
  if (try_instead_of(head)) return;
  advance(ResponseEvent::head_sent);
  if (grpc_ && !head.has_body()) grpc_status_ = grpc::status_in(head.fields);
  status_ = head.status;
  if (replay_.size() > 0) replay_.clear();
  replay_complete_ = false;
  end_hold();
  prepare(head);
  const filters::FilterChain& chain = route_->route->filters;
  if (!chain.empty()) static_cast<void>(chain.apply_response_head(head, filter_state_, filter_call()));
  if (head.status == 101) return begin_tunnel(head);
  // Who waits for "100 Continue" and gets this instead may leave the body out: where the next request begins is then
  // unknown.
  if (client_awaits_100()) client_->close_after();
  client_->send_head(head);
  touch();
}

// To an extended CONNECT each 2xx says that its tunnel stands (RFC 8441 5). What is said by a 200 to an HTTP/1.1
// upgrade, that there will be none, has no such status there.
bool Stream::would_be_a_tunnel(std::uint16_t status) const {
  return request_.method == http::Method::connect && status >= 200 && status < 300;
}

void Stream::begin_tunnel(http::ResponseHead& head) {
  tunnel_ = true;
  idle_timeout_ = listener_->settings->tunnel_idle_timeout;
  context_.loop.timers().disarm(total_timer_);
  client_->send_head(head);
  upstream_->start_tunnel();
  client_->start_tunnel();
  advance(RequestEvent::tunnel_began);
  touch();
}

void Stream::on_response_body(std::string_view data) {
  response_bytes_ += data.size();
  client_->send_body(data);
  touch();
  if (client_->full() && upstream_ != nullptr) {
    response_paused_ = true;
    upstream_->pause_response();
  }
}

// Where the client takes nothing, nothing is read for it, not even a head: see goes_on_although_late().
std::size_t Stream::response_room() {
  const std::size_t room = client_->response_room();
  if (room == 0) {
    response_paused_ = true;
    upstream_->pause_response();
  }
  return room;
}

void Stream::on_response_end(http::FieldList* trailers) {
  if (tunnel_) {
    client_->send_end(nullptr);
    advance(ResponseEvent::end_sent);
    return end_tunnel_if_done();
  }
  stop_request_relay();
  upstream_ = nullptr;
  end_attempt(upstream_status_);
  advance(ResponseEvent::end_sent);
  if (trailers != nullptr) {
    if (const auto status = grpc_ ? grpc::status_in(*trailers) : std::nullopt) grpc_status_ = status;
    clean_trailers(*trailers);
  }
  client_->send_end(trailers);
  finish();
}

// Both halves are closed, and the backend has all that the client sent. (What the client has not got yet is its
// connection's to write.) The upstream connection tells when the last of it is written.
void Stream::end_tunnel_if_done() {
  if (response_ == ResponsePhase::done && request_phase_ == RequestPhase::done && upstream_->unsent() == 0) finish();
}

void Stream::on_response_writable() {
  if (!response_paused_ || finished_) return;
  response_paused_ = false;
  if (response_ == ResponsePhase::waiting && request_phase_ == RequestPhase::done) arm_request_timeout();
  if (upstream_ != nullptr) upstream_->resume_response();
}

void Stream::on_response_held_too_long() {
  break_off(ReplyReason::response_held);
}

SpliceRelay* Stream::splice_response(std::uint64_t remaining) {
  if (tunnel_ || response_ != ResponsePhase::body) return nullptr;
  if (client_->splice_sink() == kNoSocket || upstream_->splice_socket() == kNoSocket) return nullptr;
  if (route_->route->filters.wants(filters::Step::response_body)) return nullptr;
  if (!response_relay_.start(upstream_->splice_socket(), client_->splice_sink(), client_->flusher(), remaining)) {
    return nullptr;
  }
  client_->pump_response_from(&response_relay_);
  return &response_relay_;
}

void Stream::on_response_pumped(SpliceRelay::Pumped pumped) {
  response_bytes_ += pumped.bytes;
  if (pumped.bytes > 0) touch();
  using Outcome = SpliceRelay::Outcome;
  if (pumped.outcome == Outcome::waiting || pumped.outcome == Outcome::unfinished) return;
  client_->pump_response_from(nullptr);
  const std::uint64_t taken = response_relay_.taken();
  response_relay_.stop();
  // The backend's connection finds the end of the message, or that it was cut short, and says so.
  if (upstream_ != nullptr) upstream_->end_diversion(taken);
}

// Answers without a backend.
void Stream::reply(ReplyReason reason) {
  drop_upstream();
  reason_ = reason;
  listener_->local_replies(reason).add(1);
  if (request_id_.empty()) note_request_id();
  // A request whose end is not known to be where it seems can't be followed by another.
  if (!head_seen_ || reason == ReplyReason::request_timeout || reason == ReplyReason::body_too_large) {
    client_->close_after();
  } else {
    close_unless_read_soon();
  }
  if (grpc_) return reply_to_grpc(reason);
  const std::string_view text = to_string(reason);
  char* body = arena_.allocate(text.size() + 5);
  const char* end = fmt::format_to(body, "{} {}\n", status_of(reason), text);
  http::ResponseHead head(arena_);
  head.status = status_of(reason);
  prepare(head);
  head.fields.add("content-type", "text/plain", FieldId::content_type);
  if (reason == ReplyReason::connect_not_allowed) {
    head.fields.add("allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH", FieldId::other);
  }
  reply_with(head, {body, static_cast<std::size_t>(end - body)});
}

// An answer that Weir makes does not wait for the rest of the request's body: the connection drops what is short, and
// can be kept.
void Stream::close_unless_read_soon() {
  if (request_phase_ == RequestPhase::done || request_.body == BodyKind::none) return;
  const bool long_body =
      request_.body == BodyKind::length && request_.content_length - request_bytes_ > ClientStream::kDiscardBytes;
  if (long_body || client_awaits_100()) client_->close_after();
}

void Stream::redirect_or_respond() {
  http::ResponseHead head(arena_);
  const Route& route = *route_->route;
  if (route.respond && would_be_a_tunnel(route.respond->status)) return reply(ReplyReason::connect_not_allowed);
  prepare(head);
  std::string_view body;
  if (route.redirect) {
    head.status = route.redirect->status;
    const std::string location = redirect_location(*route.redirect, route, request_, facts_.scheme());
    head.fields.add("location", arena_.copy(location), FieldId::other);
  } else {
    head.status = route.respond->status;
    body = route.respond->body;
    bool typed = false;
    for (const auto& [name, value] : route.respond->headers) {
      const FieldId id = http::field_id(name);
      typed = typed || id == FieldId::content_type;
      if (id == FieldId::date || id == FieldId::x_request_id) head.fields.remove(id);
      head.fields.add(name, value, id);
    }
    if (!typed && !body.empty()) head.fields.add("content-type", "text/plain", FieldId::content_type);
  }
  static_cast<void>(route.filters.apply_response_head(head, filter_state_, filter_call()));
  close_unless_read_soon();
  reply_with(head, body);
}

void Stream::reply_with(http::ResponseHead& head, std::string_view body) {
  const bool bodiless = head.status == 204 || head.status == 304;
  if (!bodiless) {
    char* length = arena_.allocate(20);
    const auto end = fmt::format_to(length, "{}", body.size());
    head.fields.add("content-length", {length, static_cast<std::size_t>(end - length)}, FieldId::content_length);
  }
  head.body = bodiless || request_.method == http::Method::head ? BodyKind::none : BodyKind::length;
  head.content_length = body.size();
  status_ = head.status;
  advance(ResponseEvent::head_sent);
  client_->send_head(head);
  if (head.body == BodyKind::length && !body.empty()) {
    response_bytes_ = body.size();
    client_->send_body(body);
  }
  advance(ResponseEvent::end_sent);
  client_->send_end(nullptr);
  finish();
}

// The response has begun and can't be finished.
void Stream::break_off(ReplyReason reason) {
  if (finished_) return;
  drop_upstream();
  reason_ = reason;
  finished_ = true;
  client_->abort();
  record();
  context_.loop.retire(*this);
}

void Stream::finish() {
  if (finished_) return;
  drop_upstream();
  finished_ = true;
  record();
  context_.loop.timers().disarm(timer_);
  context_.loop.timers().disarm(total_timer_);
  client_->finished();
  context_.loop.retire(*this);
}

void Stream::count(const RouteRuntime& route, RouteCells& cells, Duration took) {
  const std::string_view route_name = route.route == nullptr ? std::string_view() : std::string_view(route.route->name);
  // Of what could not be read as far as that, nobody knows the method.
  const http::Method method = request_.method_text.empty() ? http::Method::other : request_.method;
  const std::uint32_t key = static_cast<std::uint32_t>(method) << 16 | status_;
  cells.requests
      .get(key,
           [&] {
             return context_.metrics.counter(
                 observe::Family::kRequests,
                 {listener_->settings->name, route_name, http::to_string(method), observe::status_label(status_)});
           })
      .add(1);
  cells.duration->observe(static_cast<std::uint64_t>(took.count()));
  cells.request_size->observe(request_bytes_);
  cells.response_size->observe(response_bytes_);
}

void Stream::record() {
  const Duration took = context_.loop.now() - started_;
  const LocalRef<RouteRuntime>& route = route_ ? route_ : context_.routes.no_route();
  // A removed listener's series are gone, and so are its cells; a route must not keep cells of it again.
  if (!listener_->draining) count(*route, route->cells(context_.metrics, listener_), took);
  context_.requests_total->add(1);
  if (grpc_) record_grpc(*route);
  if (listener_->access_log == nullptr) return;
  const auto value_of = [&](FieldId id) {
    const http::Field* field = request_.fields.find(id);
    return field == nullptr ? std::string_view() : field->value();
  };
  // A head that was refused is not believed: what is known of its client is its connection.
  if (!head_seen_) note_client();
  observe::AccessRecord line;
  line.time = started_wall_;
  line.listener = listener_->settings->name;
  if (route->route != nullptr) line.route = route->route->name;
  if (cluster_) line.cluster = cluster_->settings().name;
  line.attempts = attempts_ + stale_retries_;
  if (line.attempts > 0) line.backend = backend_->pool.backend().name();
  line.client = client_text_;
  line.method = request_.method_text;
  line.host = request_.authority;
  line.path = request_.target;
  line.protocol = head_seen_ ? http::to_string(request_.version) : std::string_view();
  line.reason = to_string(reason_);
  line.request_id = request_id_;
  line.user_agent = value_of(FieldId::user_agent);
  line.referer = value_of(FieldId::referer);
  line.request_bytes = request_bytes_;
  line.response_bytes = response_bytes_;
  line.duration_us = static_cast<std::uint64_t>(took.count()) / 1000;
  line.upstream_us = static_cast<std::uint64_t>(upstream_time_.count()) / 1000;
  line.worker = static_cast<std::uint32_t>(context_.environment.index);
  line.status = status_;
  listener_->access_log->write(line);
}

}  // namespace weir::proxy
