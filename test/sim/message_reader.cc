#include "sim/message_reader.h"

#include <algorithm>
#include <charconv>

namespace weir::sim {

namespace {

std::string_view find(const Message::Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return {};
}

bool parse_number(std::string_view text, int base, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

void Message::take(std::string_view piece, bool keep) {
  if (!keep) return streamed.take(piece);
  body.append(piece);
}

std::string_view Message::field(std::string_view name) const {
  return find(fields, name);
}
std::string_view Message::trailer(std::string_view name) const {
  return find(trailers, name);
}
std::size_t Message::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count(fields, name, [](const auto& f) -> std::string_view { return f.first; }));
}

bool MessageReader::fail(std::string why) {
  if (error_.empty()) error_ = std::move(why);
  return false;
}

void MessageReader::feed(std::string_view bytes) {
  if (in_tunnel) {
    tunnel.append(bytes);
    return;
  }
  buffer_.append(bytes);
  while (!broken() && !in_tunnel && step()) {
  }
  if (in_tunnel) {
    tunnel.append(unread());
    buffer_.clear();
    read_ = 0;
  } else if (read_ == buffer_.size() || read_ > 64 * 1024) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
}

void MessageReader::deliver(Message message) {
  if (!expected_.empty()) expected_.pop_front();
  messages.push_back(std::move(message));
  current = {};
}

void MessageReader::become_tunnel() {
  in_tunnel = true;
  tunnel.append(unread());
  buffer_.clear();
  read_ = 0;
}

void MessageReader::end(bool reset) {
  if (broken() || in_tunnel) return;
  if (state_ == State::until_close && !reset) return complete();
  if (in_message()) fail(reset ? "reset inside a message" : "FIN inside a message");
}

bool MessageReader::step() {
  switch (state_) {
    case State::head:
      return read_head();
    case State::length:
      if (!take_body(remaining_)) return false;
      if (remaining_ == 0) complete();
      return true;
    case State::until_close:
      return take_body(SIZE_MAX) && false;
    case State::chunk_size:
      return read_chunk_size();
    case State::chunk_data:
      if (!take_body(remaining_)) return false;
      if (remaining_ == 0) state_ = State::chunk_end;
      return true;
    case State::chunk_end: {
      if (unread().size() < 2) return false;
      if (!unread().starts_with("\r\n")) return fail("no line end behind a chunk");
      read_ += 2;
      state_ = State::chunk_size;
      return true;
    }
    case State::trailers:
      return read_trailer();
  }
  return false;
}

bool MessageReader::read_line(std::string_view& line) {
  const std::size_t end = unread().find("\r\n");
  if (end == std::string_view::npos) return false;
  line = unread().substr(0, end);
  read_ += end + 2;
  return line.find_first_of("\r\n") == std::string_view::npos || fail("a stray CR or LF");
}

bool MessageReader::take_body(std::size_t at_most) {
  const std::string_view piece = unread().substr(0, at_most);
  if (piece.empty() && at_most > 0) return false;
  current.take(piece, keep_bodies);
  read_ += piece.size();
  if (state_ != State::until_close) remaining_ -= piece.size();
  return true;
}

bool MessageReader::read_chunk_size() {
  std::string_view line;
  if (!read_line(line)) return false;
  if (!parse_number(line, 16, remaining_)) return fail("a bad chunk size: " + std::string(line));
  state_ = remaining_ == 0 ? State::trailers : State::chunk_data;
  return true;
}

bool MessageReader::read_trailer() {
  std::string_view line;
  if (!read_line(line)) return false;
  if (!line.empty()) return parse_field(line, current.trailers);
  complete();
  return true;
}

bool MessageReader::read_head() {
  const std::size_t end = unread().find("\r\n\r\n");
  if (end == std::string_view::npos) return false;
  std::string_view line;
  if (!read_line(line)) return fail("an empty head");
  if (!parse_start_line(line)) return fail("a bad start line: " + std::string(line));
  while (read_line(line) && !line.empty()) {
    if (!parse_field(line, current.fields)) return false;
  }
  return !broken() && begin_body();
}

bool MessageReader::parse_start_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return false;
  const std::string_view middle = line.substr(first + 1, second - first - 1);
  if (kind_ == Kind::request) {
    current.method = line.substr(0, first);
    current.target = middle;
    current.version = line.substr(second + 1);
  } else {
    std::uint64_t status = 0;
    if (!parse_number(middle, 10, status) || status < 100 || status > 599) return false;
    current.status = static_cast<int>(status);
    current.version = line.substr(0, first);
  }
  return current.version == "HTTP/1.1" || current.version == "HTTP/1.0";
}

bool MessageReader::parse_field(std::string_view line, Message::Fields& into) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return fail("a bad field: " + std::string(line));
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  into.emplace_back(std::move(name), std::string(value));
  return true;
}

bool MessageReader::begin_body() {
  const std::string_view coding = current.field("transfer-encoding");
  const std::string_view length = current.field("content-length");
  if (!coding.empty() && !length.empty()) return fail("both framings at once");
  if (current.count("content-length") > 1) return fail("several lengths");
  if (!coding.empty() && coding != "chunked") return fail("a strange coding: " + std::string(coding));
  bool bodiless = false;
  if (kind_ == Kind::response) {
    if (expected_.empty()) return fail("an answer that nobody asked for");
    bodiless = expected_.front() == "HEAD" || current.status == 204 || current.status == 304 || current.status < 200;
    if (current.status < 200 && current.status != 101) {
      current.complete = true;
      interim.push_back(std::exchange(current, {}));
      return true;
    }
  }
  remaining_ = 0;
  if (!length.empty() && !parse_number(length, 10, remaining_)) return fail("a bad length");
  if (bodiless || (coding.empty() && length.empty() && kind_ == Kind::request)) {
    state_ = State::length;
    remaining_ = 0;
  } else if (!coding.empty()) {
    current.chunked = true;
    state_ = State::chunk_size;
  } else if (length.empty()) {
    current.until_close = true;
    state_ = State::until_close;
  } else {
    state_ = State::length;
  }
  if (current.status == 101) in_tunnel = true;
  if (state_ == State::length && remaining_ == 0) complete();
  return true;
}

void MessageReader::complete() {
  current.complete = true;
  if (kind_ == Kind::response && !expected_.empty()) expected_.pop_front();
  messages.push_back(std::exchange(current, {}));
  state_ = State::head;
}

}  // namespace weir::sim
