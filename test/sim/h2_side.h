#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/message_reader.h"

namespace weir::sim {

// What the two sides of HTTP/2 by an independent implementation have in common: bytes in, bytes out, and bodies that go
// out as windows allow.
class H2Side {
 public:
  H2Side(const H2Side&) = delete;
  H2Side& operator=(const H2Side&) = delete;

  void body(std::int32_t stream, std::string_view bytes);
  void end(std::int32_t stream, const Message::Fields& trailers = {});
  // A streamed body of this size, and its end.
  void stream_body(std::int32_t stream, std::uint64_t size);
  void reset(std::int32_t stream, std::uint32_t code);
  // Gives back nothing of the stream's window, until opened again.
  void hold_window(std::int32_t stream);
  void open_window(std::int32_t stream);

  void feed(std::string_view bytes);
  std::string take_output();

  // What of it was not HTTP/2; empty if all was.
  const std::string& error() const { return error_; }
  // Bytes of bodies that wait for windows.
  std::size_t unsent(std::int32_t stream) const;
  std::size_t unsent() const;

 protected:
  struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    StreamedSource streamed;  // behind them
    bool ended = false;
    Message::Fields trailers;
    bool held = false;       // its window is not given back
    std::uint64_t owed = 0;  // of it
  };

  H2Side() = default;
  ~H2Side();

  // Bytes of a body have come: its windows open again, unless held.
  void consume(std::int32_t stream, std::size_t size);
  static std::uint64_t unsent(const Outgoing& out) { return out.bytes.size() - out.sent + out.streamed.left(); }
  Outgoing& outgoing(std::int32_t stream) { return outgoing_[stream]; }
  // It is over: nothing of it goes out any more.
  void forget(std::int32_t stream) { outgoing_.erase(stream); }
  void fail(std::string why) { error_ = std::move(why); }

  // nghttp2's data source of a body; its user pointer is the H2Side.
  static ssize_t read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* into, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source* source, void* user);
  static nghttp2_nv pair(std::string_view name, std::string_view value);
  static std::string_view text(const std::uint8_t* data, std::size_t size);

  nghttp2_session* session_ = nullptr;

 private:
  std::map<std::int32_t, Outgoing> outgoing_;
  std::string error_;
};

}  // namespace weir::sim
