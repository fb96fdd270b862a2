#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "sim/h2_engine.h"
#include "sim/message_reader.h"

namespace weir::sim {

// Says over HTTP/2 what a test says in HTTP/1 terms, and gives the answers in these terms too, so that a test of what
// the proxy does can run over both. Requests that follow each other go on streams beside each other.
class H2Translator {
 public:
  // Answers go into `answers`, as if it had read them.
  explicit H2Translator(MessageReader& answers) : answers_(answers) {}

  // Bytes of well-formed HTTP/1 requests, in any pieces; once the tunnel stands, its bytes.
  void request_bytes(std::string_view bytes);
  // The client's half of the tunnel is closed.
  void end_tunnel();
  void feed(std::string_view bytes);
  std::string take_output() { return engine_.take_output(); }
  const H2Engine& engine() const { return engine_; }
  bool tunnel_ended() const { return tunnel_ended_; }
  // Bytes of bodies that wait for windows.
  std::size_t unsent() const { return engine_.unsent(); }

 private:
  void pass_on(const Message& request, bool complete);
  void look_at_answers();
  bool look_at(std::int32_t stream);

  MessageReader& answers_;
  H2Engine engine_;
  MessageReader requests_{MessageReader::Kind::request};
  std::deque<std::int32_t> open_;
  std::int32_t current_ = 0;  // the request under way
  std::size_t body_sent_ = 0;
  std::int32_t upgrade_ = 0;  // the stream that is to become a tunnel
  std::size_t tunnel_read_ = 0;
  std::size_t interim_told_ = 0;
  bool tunnel_ended_ = false;
};

}  // namespace weir::sim
