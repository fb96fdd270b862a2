#include "admin/admin_connection.h"

#include <array>
#include <utility>

namespace weir::admin {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

struct Refusal {
  std::uint16_t status;
  std::string_view message;
};

Refusal refusal_of(http1::DecodeError error) {
  switch (error) {
    case http1::DecodeError::uri_too_long:
      return {414, "uri too long"};
    case http1::DecodeError::headers_too_large:
      return {431, "headers too large"};
    case http1::DecodeError::version_unsupported:
      return {505, "http version unsupported"};
    default:
      return {400, "bad request"};
  }
}

// The fields that the API looks at.
void take_fields(const http::FieldList& fields, Request& request) {
  const std::array<std::pair<std::string_view, std::optional<std::string>*>, 4> wanted = {{
      {"origin", &request.origin},
      {"authorization", &request.authorization},
      {"content-type", &request.content_type},
      {"accept", &request.accept},
  }};
  for (const http::Field& field : fields) {
    for (const auto& [name, target] : wanted) {
      if (!http::equals_ignoring_case(field.name(), name)) continue;
      if (!target->has_value()) {
        *target = std::string(field.value());
      } else if (name == "accept") {
        target->value().append(", ").append(field.value());
      } else {
        request.ambiguous = true;
      }
    }
  }
}

}  // namespace

AdminConnection::AdminConnection(EventLoop& loop, ConnectionOwner& owner, const AdminLimits& limits, SocketId socket,
                                 IpAddress peer, SocketAddress local)
    : loop_(loop),
      owner_(owner),
      limits_(limits),
      socket_(socket),
      peer_(peer),
      local_(std::move(local)),
      timer_(*this) {}

AdminConnection::~AdminConnection() {
  if (ticket_) ticket_->connection = nullptr;
  if (socket_ != kNoSocket) loop_.engine().close(socket_);
}

bool AdminConnection::start() {
  if (!loop_.engine().watch(socket_, *this)) {
    close();
    return false;
  }
  set_timer(limits_.idle_timeout);
  return true;
}

void AdminConnection::turn_away(Reply reply) {
  keep_alive_ = false;
  send(std::move(reply));
}

void AdminConnection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  if (ticket_) std::exchange(ticket_, nullptr)->connection = nullptr;
  loop_.timers().disarm(timer_);
  loop_.engine().close(std::exchange(socket_, kNoSocket));
  loop_.retire(*this);
}

void AdminConnection::destroy() {
  owner_.destroyed(*this);
}

void AdminConnection::set_timer(Duration timeout) {
  loop_.timers().arm(timer_, deadline_after(loop_.now(), timeout));
}

void AdminConnection::on_ready(Readiness readiness) {
  if (state_ == State::closed) return;
  if ((readiness.bits & Readiness::failed) != 0) return close();
  if (readiness.can_read()) {
    if (state_ == State::idle || state_ == State::head || state_ == State::body) read_request();
    if (state_ == State::lingering) discard();
  }
  if (readiness.can_write() && state_ == State::writing) loop_.mark_dirty(*this);
}

void AdminConnection::resume() {
  if (state_ == State::idle) read_request();
}

// Reads and decodes until the request is complete, or nothing more is there.
void AdminConnection::read_request() {
  for (;;) {
    if (decode()) return;
    if (!fill()) return;
  }
}

// False if there is nothing to read now, or nothing more ever.
bool AdminConnection::fill() {
  std::array<char, kReadBytes> scratch;  // not initialised: only what was read is looked at
  const IoResult read = loop_.engine().read(socket_, scratch);
  switch (read.status) {
    case IoStatus::would_block:
      return false;
    case IoStatus::ok:
      input_.append(scratch.data(), read.bytes);
      return true;
    case IoStatus::end:
    case IoStatus::failed:
      break;
  }
  // Between requests this is the usual end; inside one the client has given up on it.
  close();
  return false;
}

// True if this request needs no more input: it was dispatched or refused.
bool AdminConnection::decode() {
  std::size_t used = 0;
  bool finished = false;
  while (!finished) {
    const std::string_view input = std::string_view(input_).substr(used);
    if (input.empty() && !reading_) break;  // the end of a message without body needs no input
    if (!reading_) {
      reading_.emplace(loop_.buffers());
      request_ = Request{};
      state_ = State::head;
      set_timer(limits_.header_timeout);
    }
    const http1::Step step = reading_->decoder.next(input, reading_->head, reading_->trailers, limits_.head);
    used += step.consumed;
    switch (step.event) {
      case http1::Event::need_more:
        input_.erase(0, used);
        return false;
      case http1::Event::head:
        on_head();
        finished = state_ != State::body;
        break;
      case http1::Event::body:
        request_.body.append(step.body);
        if (request_.body.size() > limits_.body_bytes) {
          refuse(413, "body too large");
          finished = true;
        }
        break;
      case http1::Event::end:
        finished = true;
        input_.erase(0, used);
        dispatch();
        return true;
      case http1::Event::error: {
        const auto [status, message] = refusal_of(step.error);
        refuse(status, step.detail.empty() ? message : step.detail);
        finished = true;
        break;
      }
    }
  }
  input_.erase(0, used);
  return finished;
}

void AdminConnection::on_head() {
  const http::RequestHead& head = reading_->head;
  request_.head_only = head.method == http::Method::head;
  request_.method = request_.head_only ? http::Method::get : head.method;
  request_.path = std::string(head.path.substr(0, head.path.find('?')));
  request_.host = std::string(head.authority);
  request_.peer = peer_;
  request_.local = local_;
  take_fields(head.fields, request_);
  keep_alive_ = head.keep_alive;
  if (head.body == http::BodyKind::length && head.content_length > limits_.body_bytes)
    return refuse(413, "body too large");
  state_ = State::body;
  set_timer(limits_.body_timeout);
  if (head.expect_continue && head.body != http::BodyKind::none) {
    // Tiny, and nothing else is in flight: the socket takes it, and if not, the client goes on by itself after a while.
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    output_head_ = kContinue;
    written_ = 0;
    loop_.mark_dirty(*this);
  }
}

void AdminConnection::refuse(std::uint16_t status, std::string_view message) {
  keep_alive_ = false;
  send(error_reply(status, message));
}

void AdminConnection::dispatch() {
  reading_.reset();
  state_ = State::answering;
  set_timer(limits_.answer_timeout);
  ticket_ = std::make_shared<Ticket>(Ticket{this});
  owner_.handle(std::move(request_), [ticket = ticket_](Reply reply) {
    if (AdminConnection* connection = std::exchange(ticket->connection, nullptr)) connection->send(std::move(reply));
  });
}

// May run inside the control plane's completion: it only stores the answer, the loop writes it.
void AdminConnection::send(Reply reply) {
  if (ticket_) std::exchange(ticket_, nullptr)->connection = nullptr;
  const bool head_only = request_.head_only;
  reading_.reset();
  state_ = State::writing;
  output_head_.erase(0, written_);
  written_ = 0;
  output_head_ += render_head(reply, loop_.wall_now(), keep_alive_);
  output_body_ = head_only ? std::string() : std::move(reply.body);
  set_timer(limits_.write_timeout);
  loop_.mark_dirty(*this);
}

void AdminConnection::flush() {
  if (state_ == State::closed) return;
  while (written_ < output_head_.size() + output_body_.size()) {
    std::array<iovec, 2> pieces;
    std::size_t count = 0;
    if (written_ < output_head_.size()) {
      pieces[count++] = {output_head_.data() + written_, output_head_.size() - written_};
    }
    const std::size_t body_done = written_ > output_head_.size() ? written_ - output_head_.size() : 0;
    if (body_done < output_body_.size())
      pieces[count++] = {output_body_.data() + body_done, output_body_.size() - body_done};
    const IoResult result = loop_.engine().write(socket_, std::span(pieces.data(), count), false);
    if (result.status == IoStatus::would_block) return;
    if (result.status != IoStatus::ok) return close();
    written_ += result.bytes;
    if (state_ == State::writing) set_timer(limits_.write_timeout);
  }
  output_head_.clear();
  output_body_ = std::string();
  written_ = 0;
  if (state_ == State::writing) written();
}

// The whole answer is with the kernel.
void AdminConnection::written() {
  if (keep_alive_) {
    state_ = State::idle;
    set_timer(limits_.idle_timeout);
    loop_.mark_ready(*this);  // what came meanwhile was not read
    return;
  }
  // Closing with unread input would reset the connection and destroy the answer.
  state_ = State::lingering;
  set_timer(limits_.linger);
  loop_.engine().shutdown_write(socket_);
  discard();
}

void AdminConnection::discard() {
  std::array<char, kReadBytes> scratch;
  while (discarded_ <= limits_.linger_bytes) {
    const IoResult read = loop_.engine().read(socket_, scratch);
    if (read.status == IoStatus::would_block) return;
    if (read.status != IoStatus::ok) return close();
    discarded_ += read.bytes;
  }
  close();
}

void AdminConnection::on_timer(Timer&) {
  switch (state_) {
    case State::head:
    case State::body:
      return refuse(408, "request timeout");
    case State::answering:
      return send(error_reply(503, "no answer in time"));
    case State::idle:
    case State::writing:
    case State::lingering:
      return close();
    case State::closed:
      return;
  }
}

}  // namespace weir::admin
