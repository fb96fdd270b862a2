#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "http/http2/session.h"

// What the tests and fuzz targets of a session share: an owner that writes down what it is told, and frames as text.
namespace weir::http2 {

struct SessionPeer {
  // A client's session goes on as if it had opened streams until so many ids were left.
  static void leave_ids(Session& session, std::uint32_t count) { session.next_id_ = kStreamIdMax - 2 * (count - 1); }
};

}  // namespace weir::http2

namespace weir::http2::test {

inline std::string frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string bytes(kFrameHeaderBytes, '\0');
  write_frame_header(bytes.data(), {static_cast<std::uint32_t>(payload.size()), stream, type, flags});
  return bytes.append(payload);
}
inline std::string u32(std::uint32_t number) {
  std::string bytes(4, '\0');
  write_u32(bytes.data(), number);
  return bytes;
}
inline std::string u32(ErrorCode code) {
  return u32(static_cast<std::uint32_t>(code));
}
inline std::string setting(Setting name, std::uint32_t value) {
  std::string bytes(2, '\0');
  write_u16(bytes.data(), static_cast<std::uint16_t>(name));
  return bytes + u32(value);
}
inline std::string settings(std::string_view payload = {}) {
  return frame(FrameType::settings, 0, 0, payload);
}
inline std::string data(std::uint32_t stream, std::string_view body, bool end = false) {
  return frame(FrameType::data, end ? kFlagEndStream : std::uint8_t{0}, stream, body);
}
inline std::string headers(std::uint32_t stream, std::string_view block, bool end = true) {
  const int flags = kFlagEndHeaders | (end ? kFlagEndStream : 0);
  return frame(FrameType::headers, static_cast<std::uint8_t>(flags), stream, block);
}
inline std::string window_update(std::uint32_t stream, std::uint32_t bytes) {
  return frame(FrameType::window_update, 0, stream, u32(bytes));
}
inline std::string rst_stream(std::uint32_t stream, ErrorCode code = ErrorCode::cancel) {
  return frame(FrameType::rst_stream, 0, stream, u32(code));
}
inline std::string goaway(std::uint32_t last, ErrorCode code = ErrorCode::no_error) {
  return frame(FrameType::goaway, 0, 0, u32(last) + u32(code));
}

// A literal field that enters no table.
inline std::string field(std::string_view name, std::string_view value) {
  std::string bytes(1, '\0');
  const auto text = [&bytes](std::string_view t) {
    if (t.size() < 127) {
      bytes += static_cast<char>(t.size());
    } else {
      bytes += '\x7f';
      std::size_t rest = t.size() - 127;
      for (; rest >= 128; rest /= 128) bytes += static_cast<char>(rest % 128 + 128);
      bytes += static_cast<char>(rest);
    }
    bytes += t;
  };
  text(name);
  text(value);
  return bytes;
}
// GET or POST http://a/
inline const std::string kGet = "\x82\x86\x84" + field(":authority", "a");
inline const std::string kPost = "\x83\x86\x84" + field(":authority", "a");
inline const std::string kOk = "\x88";  // :status 200
inline const std::string kServerStart = std::string(Session::kPreface) + settings();

inline std::string_view name_of(FrameType type) {
  constexpr std::string_view kNames[] = {"DATA",         "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
                                         "PUSH_PROMISE", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};
  return static_cast<std::size_t>(type) < std::size(kNames) ? kNames[static_cast<std::size_t>(type)] : "OTHER";
}

// One line for each frame: "HEADERS 1 len=3 END_STREAM END_HEADERS", "RST_STREAM 1 CANCEL".
inline std::vector<std::string> describe_frames(std::string_view bytes) {
  std::vector<std::string> lines;
  while (bytes.size() >= kFrameHeaderBytes) {
    const FrameHeader header = read_frame_header(bytes.data());
    const std::string_view payload = bytes.substr(kFrameHeaderBytes, header.length);
    std::string line(name_of(header.type));
    line += " " + std::to_string(header.stream);
    switch (header.type) {
      case FrameType::rst_stream:
        line += " " + std::string(to_string(static_cast<ErrorCode>(read_u32(payload.data()))));
        break;
      case FrameType::goaway:
        line += " last=" + std::to_string(read_u32(payload.data())) + " " +
                std::string(to_string(static_cast<ErrorCode>(read_u32(payload.data() + 4))));
        break;
      case FrameType::window_update:
        line += " " + std::to_string(read_u32(payload.data()));
        break;
      default:
        line += " len=" + std::to_string(header.length);
        break;
    }
    if ((header.type == FrameType::data || header.type == FrameType::headers) && header.has(kFlagEndStream)) {
      line += " END_STREAM";
    }
    if (header.type == FrameType::headers || header.type == FrameType::continuation) {
      line += header.has(kFlagEndHeaders) ? " END_HEADERS" : "";
    }
    if ((header.type == FrameType::settings || header.type == FrameType::ping) && header.has(kFlagAck)) line += " ACK";
    lines.push_back(std::move(line));
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), kFrameHeaderBytes + header.length));
  }
  if (!bytes.empty()) lines.push_back("rest of " + std::to_string(bytes.size()));
  return lines;
}

struct OwnedStream : SessionStream {
  explicit OwnedStream(BufferPool& pool)
      : SessionStream(pool), arena(pool), request(arena), response(arena), trailers(arena) {}

  Arena arena;
  http::RequestHead request;
  http::ResponseHead response;
  http::FieldList trailers;
  std::string body;
  bool ended = false;
  bool over = false;  // an event said so
};

inline std::string describe(const http::FieldList& fields) {
  std::string text;
  for (const http::Field& field : fields) {
    if (!field.removed) text += " " + std::string(field.name()) + "=" + std::string(field.value());
  }
  return text;
}

// An owner of a session: keeps streams, writes events down, feeds bytes in any pieces.
class Owner {
 public:
  explicit Owner(Role role, SessionLimits with = {})
      : limits(with), output(pool), role_(role), session(role, limits, pool, output, now) {}
  ~Owner() {
    for (auto& [id, stream] : streams) session.reset(*stream, ErrorCode::cancel);
  }

  // How many bytes of the input are known at the n-th look at it.
  using Cut = std::function<std::size_t(std::size_t known, std::size_t size)>;

  // Feeds all of it; each look at it lies elsewhere in memory.
  void feed(std::string_view bytes, const Cut& cut = {}) {
    unread_ += bytes;
    std::size_t known = cut ? 0 : unread_.size();
    while (true) {
      const auto piece = std::make_unique<std::string>(unread_.substr(0, known));
      const Step step = session.next(*piece, now);
      tell(step);
      unread_.erase(0, step.consumed);
      known -= step.consumed;
      if (step.event == Event::need_more) {
        if (known >= unread_.size()) break;
        known = std::min(unread_.size(), std::max(known + 1, cut(known, unread_.size())));
      }
      if (step.event == Event::error) unread_.clear(), known = 0;
    }
  }

  // What the session has written since the last time.
  std::string take() {
    std::string bytes(output.size(), '\0');
    output.peek(bytes.data(), bytes.size());
    output.clear();
    return bytes;
  }
  // The same after pump(), again and again, until nothing comes.
  std::string take_all() {
    std::string bytes;
    do {
      session.pump();
      bytes += take();
    } while (session.sendable());
    return bytes;
  }
  std::vector<std::string> take_frames() { return describe_frames(take()); }
  // Without the preface and SETTINGS that each session begins with.
  void forget_start() { take(); }

  OwnedStream& stream(std::uint32_t id) { return *streams.at(id); }

  OwnedStream& open(const std::function<void(http::RequestHead&)>& fill = {}, bool end = true) {
    auto owned = std::make_unique<OwnedStream>(pool);
    http::RequestHead& head = owned->request;
    head.method_text = "GET";
    head.path = head.target = "/";
    head.authority = "a";
    head.version = http::Version::http_2;
    head.fields.add("host", "a", http::FieldId::host);
    if (fill) fill(head);
    session.open(*owned, head, "http", end, owned->response, owned->trailers);
    return *(streams[owned->id()] = std::move(owned));
  }
  void respond(std::uint32_t id, std::string_view body, std::uint16_t status = 200) {
    OwnedStream& to = stream(id);
    send_head(id, status);
    if (!body.empty()) session.send_body(to, body);
    session.send_end(to, nullptr);
  }
  void send_head(std::uint32_t id, std::uint16_t status = 200, bool end = false) {
    Arena arena(pool);
    http::ResponseHead head(arena);
    head.status = status;
    head.version = http::Version::http_2;
    session.send_head(stream(id), head, end);
  }

  SessionLimits limits;
  BufferPool pool{4};
  Buffer output;
  TimePoint now{1000s};

 private:
  Role role_;

 public:
  Session session;
  std::map<std::uint32_t, std::unique_ptr<OwnedStream>> streams;
  std::vector<std::string> events;
  std::function<void(const Step&)> on_step;  // after it was written down
  std::function<bool()> refuses;
  bool consumes = true;
  bool keeps_bodies = true;
  Step last_error;

 private:
  void note(const Step& step, std::string text) {
    if (step.stream != nullptr) text = std::to_string(step.stream->id()) + " " + text;
    events.push_back(std::move(text));
  }

  void tell(const Step& step) {
    auto* owned = static_cast<OwnedStream*>(step.stream);
    switch (step.event) {
      case Event::need_more:
        return;
      case Event::stream_begins:
        begin();
        return;
      case Event::head:
        note(step, role_ == Role::server ? describe_request(*owned) : describe_response(*owned));
        break;
      case Event::body:
        tell_body(step);
        break;
      case Event::end:
        owned->ended = true;
        note(step, "end" + describe(owned->trailers));
        break;
      case Event::reset:
        owned->over = true;
        note(step, "reset " + std::string(to_string(step.error)));
        break;
      case Event::malformed:
        note(step, "malformed");
        break;
      case Event::unprocessed:
        owned->over = true;
        note(step, "unprocessed");
        break;
      case Event::writable:
        note(step, "writable");
        break;
      case Event::closed:
        owned->over = true;
        note(step, "closed");
        break;
      case Event::settings:
        note(step, "settings");
        break;
      case Event::going_away:
        note(step, "going_away " + std::string(to_string(step.error)));
        break;
      case Event::ping_ack:
        note(step, "ping_ack");
        break;
      case Event::priority:
        note(step, "priority");
        break;
      case Event::error:
        last_error = step;
        note(step, "error " + std::string(to_string(step.error)) +
                       (step.abuse == Abuse::none ? "" : " " + std::string(to_string(step.abuse))));
        break;
    }
    if (on_step) on_step(step);
  }

  void begin() {
    if (refuses && refuses()) return session.refuse(ErrorCode::refused_stream);
    auto owned = std::make_unique<OwnedStream>(pool);
    session.attach(*owned, owned->request, owned->trailers);
    streams[owned->id()] = std::move(owned);
  }

  void tell_body(const Step& step) {
    auto* owned = static_cast<OwnedStream*>(step.stream);
    if (keeps_bodies) {
      const std::string start = std::to_string(owned->id()) + " body ";
      if (events.empty() || !events.back().starts_with(start)) events.push_back(start);
      events.back() += step.body;
      owned->body += step.body;
    }
    if (consumes) session.consumed(*owned, step.body.size(), now);
  }

  static std::string describe_request(const OwnedStream& stream) {
    const http::RequestHead& head = stream.request;
    return "head " + std::string(head.method_text) + " " + std::string(head.path) + describe(head.fields);
  }
  static std::string describe_response(const OwnedStream& stream) {
    return "head " + std::to_string(stream.response.status) + describe(stream.response.fields);
  }

  std::string unread_;
};

// Pieces of sizes that follow from `seed`, mostly small.
inline Owner::Cut random_cut(std::uint64_t seed) {
  return [seed](std::size_t known, std::size_t) mutable {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t size = (seed >> 40) % ((seed >> 33) % 4 == 0 ? 400 : 20);
    return known + 1 + static_cast<std::size_t>(size);
  };
}
inline std::size_t byte_by_byte(std::size_t known, std::size_t) {
  return known + 1;
}

// Carries bytes between two owners until neither has any more.
inline void exchange(Owner& a, Owner& b) {
  while (true) {
    const std::string to_b = a.take_all();
    const std::string to_a = b.take_all();
    if (to_a.empty() && to_b.empty()) return;
    b.feed(to_b);
    a.feed(to_a);
  }
}

// What an owner was told and what went out: a server answers each request when it is complete, a client has three open.
inline std::string outcome(Role role, std::string_view bytes, const Owner::Cut& cut, const SessionLimits& limits = {}) {
  Owner owner(role, limits);
  owner.on_step = [&](const Step& step) {
    if (role == Role::server && step.event == Event::end && !step.stream->detached()) {
      owner.respond(step.stream->id(), "ok");
    }
  };
  if (role == Role::client) {
    for (int i = 0; i < 3; ++i) owner.open();
  }
  owner.feed(bytes, cut);
  std::string text;
  for (const std::string& event : owner.events) text += event + "\n";
  for (const std::string& line : describe_frames(owner.take_all())) text += line + "\n";
  return text;
}

}  // namespace weir::http2::test
