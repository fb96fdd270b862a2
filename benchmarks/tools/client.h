#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::lab {

// What every request asks for. The answer must be a 200; with body_bytes >= 0 its body must have exactly that size.
struct Request {
  std::string path = "/";
  std::string host = "127.0.0.1";
  std::vector<std::pair<std::string, std::string>> fields;
  std::int64_t body_bytes = -1;
};

// A finished exchange. `stream` is what begin() returned.
struct Done {
  enum class Kind : std::uint8_t { ok, status, body, framing };
  std::uint32_t stream;
  Kind kind;
};

// One client's side of a connection, HTTP/1.1 without pipelining or HTTP/2, without I/O: the owner hands in what it has
// read and writes what take_output() gives. Knows just enough to load a server that answers as a healthy one does.
class ClientWire {
 public:
  virtual ~ClientWire() = default;

  // What must go out before the first request.
  virtual void open() = 0;
  // How many requests may be begun now. 0 until an HTTP/2 server has sent its SETTINGS.
  virtual std::uint32_t room() const = 0;
  // Appends a request to the output. Only if room() > 0.
  virtual std::uint32_t begin() = 0;
  // Takes bytes as they came; appends exchanges that are over. False: the connection is of no more use.
  virtual bool feed(std::string_view bytes, std::vector<Done>& done) = 0;

  std::string& output() { return output_; }

 protected:
  std::string output_;
};

// The request's bytes are rendered once; `request` must outlive the wire.
class Http1Wire final : public ClientWire {
 public:
  explicit Http1Wire(const Request& request);
  void open() override {}
  std::uint32_t room() const override { return busy_ ? 0 : 1; }
  std::uint32_t begin() override;
  bool feed(std::string_view bytes, std::vector<Done>& done) override;

 private:
  bool take_head(std::string_view head, Done& result);

  const Request& request_;
  std::string rendered_;
  std::string head_;  // what came of the head so far
  bool busy_ = false;
  bool in_body_ = false;
  std::uint64_t body_left_ = 0;
  std::uint32_t count_ = 0;
  Done::Kind kind_ = Done::Kind::ok;
};

// Sends every field with indexing once and by its index from then on, as browsers do.
class Http2Wire final : public ClientWire {
 public:
  Http2Wire(const Request& request, std::uint32_t streams_max, bool tls);
  void open() override;
  std::uint32_t room() const override;
  std::uint32_t begin() override;
  bool feed(std::string_view bytes, std::vector<Done>& done) override;

 private:
  struct Open {
    std::uint32_t stream;
    std::int64_t body_bytes;
    bool is_200;
    bool has_head;
  };

  std::string block();
  bool take_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload,
                  std::vector<Done>& done);
  bool take_settings(std::string_view payload);
  void take_head(Open& open, std::uint8_t flags, std::string_view payload);
  void finish(std::uint32_t stream, Done::Kind kind, std::vector<Done>& done);
  void frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);

  const Request& request_;
  std::uint32_t streams_max_;
  bool tls_;
  bool ready_ = false;
  bool going_ = false;
  bool indexed_ = false;   // the fields stand in the peer's table
  bool may_index_ = true;  // its table is large enough
  std::uint32_t next_stream_ = 1;
  std::uint64_t unacknowledged_ = 0;  // bytes of bodies that no WINDOW_UPDATE has given back
  std::string input_;
  std::vector<Open> open_;
};

}  // namespace weir::lab
