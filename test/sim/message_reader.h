#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/streamed_body.h"

namespace weir::sim {

// An HTTP/1 message as the other side of the proxy sees it.
struct Message {
  using Fields = std::vector<std::pair<std::string, std::string>>;  // names in lower case

  std::string method, target;  // of a request
  int status = 0;              // of a response
  std::string version;         // "HTTP/1.1"
  Fields fields;
  std::string body;
  StreamedSink streamed;  // what came of it where bodies are not kept
  Fields trailers;
  bool chunked = false;
  bool until_close = false;
  bool complete = false;

  // The next of the body.
  void take(std::string_view piece, bool keep);
  // The first of that name, "" if there is none.
  std::string_view field(std::string_view name) const;
  std::string_view trailer(std::string_view name) const;
  std::size_t count(std::string_view name) const;
};

// A small, strict reader of HTTP/1 messages that shares no code with the proxy's codec: what tests believe of the bytes
// on the wire. Anything unusual is an error.
class MessageReader {
 public:
  enum class Kind : std::uint8_t { request, response };
  explicit MessageReader(Kind kind) : kind_(kind) {}

  // The next response without one answers a request of this method. In the order of the requests.
  void expect(std::string method) { expected_.push_back(std::move(method)); }
  std::size_t unanswered() const { return expected_.size(); }

  void feed(std::string_view bytes);
  // The peer has sent FIN (or, `reset`, reset the connection).
  void end(bool reset);

  // What somebody else has read.
  void deliver(Message message);
  void give_up(std::string why) { fail(std::move(why)); }

  // Goes on with raw bytes from here: the connection is a tunnel.
  void become_tunnel();

  // The head of `current` is complete, its body is under way.
  bool in_body() const { return state_ != State::head; }
  const std::string& error() const { return error_; }
  bool broken() const { return !error_.empty(); }
  // A message has begun and is not complete.
  bool in_message() const { return state_ != State::head || !unread().empty(); }

  bool keep_bodies = true;       // else they are compared with a streamed body
  std::deque<Message> messages;  // complete, in order; 1xx are not among them
  std::vector<Message> interim;  // 1xx
  Message current;               // as far as it has come
  std::string tunnel;            // what came after become_tunnel(), or behind a 101
  bool in_tunnel = false;

 private:
  enum class State : std::uint8_t { head, length, chunk_size, chunk_data, chunk_end, trailers, until_close };

  std::string_view unread() const { return std::string_view(buffer_).substr(read_); }
  // Each goes on as far as it can; false: more bytes are needed (or it broke).
  bool step();
  bool read_head();
  bool read_line(std::string_view& line);
  bool read_chunk_size();
  bool read_trailer();
  bool take_body(std::size_t at_most);
  bool begin_body();
  bool parse_start_line(std::string_view line);
  bool parse_field(std::string_view line, Message::Fields& into);
  void complete();
  bool fail(std::string why);

  const Kind kind_;
  State state_ = State::head;
  std::string buffer_;
  std::size_t read_ = 0;
  std::uint64_t remaining_ = 0;
  std::deque<std::string> expected_;
  std::string error_;
};

}  // namespace weir::sim
