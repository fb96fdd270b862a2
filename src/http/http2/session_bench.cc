// A request of ten fields and its small answer through a session, of either side, and the same through nghttp2.
#include <benchmark/benchmark.h>
#include <nghttp2/nghttp2.h>

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "http/http2/session.h"

namespace weir::http2 {
namespace {

// What a browser sends.
struct Line {
  std::string_view name;
  std::string_view value;
};
constexpr Line kFields[] = {
    {"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    {"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
    {"accept-encoding", "gzip, deflate, br"},
    {"accept-language", "en-GB,en;q=0.7,de;q=0.3"},
    {"cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; lang=en"},
    {"referer", "https://www.example.com/a/b/c?d=e"},
    {"cache-control", "max-age=0"},
    {"upgrade-insecure-requests", "1"},
    {"sec-fetch-mode", "navigate"},
};
constexpr std::string_view kAuthority = "127.0.0.1:20100";
constexpr Line kAnswerFields[] = {{"server", "backend"},
                                  {"date", "Sat, 21 Nov 2026 09:09:01 GMT"},
                                  {"content-type", "text/plain"},
                                  {"content-length", "64"}};
const std::string kBody(64, 'x');
constexpr int kRequests = 1024;  // of one connection
constexpr int kTurn = 32;        // read, or sent, at once
constexpr TimePoint kNow{1000s};

void fill(http::RequestHead& head) {
  head.method = http::Method::get;
  head.method_text = "GET";
  head.path = head.target = "/index.html";
  head.authority = kAuthority;
  head.version = http::Version::http_2;
  head.fields.add("host", kAuthority, http::FieldId::host);
  for (const Line& line : kFields) head.fields.add(line.name, line.value, http::field_id(line.name));
}

void fill(http::ResponseHead& head) {
  head.status = 200;
  head.version = http::Version::http_2;
  head.body = http::BodyKind::length;
  head.content_length = kBody.size();
  for (const Line& line : kAnswerFields) head.fields.add(line.name, line.value, http::field_id(line.name));
}

struct Stream : SessionStream {
  explicit Stream(BufferPool& pool)
      : SessionStream(pool), arena(pool), request(arena), response(arena), trailers(arena) {}

  void forget() {
    request.clear();
    response.clear();
    trailers.clear();
    arena.clear();
  }

  Arena arena;
  http::RequestHead request;
  http::ResponseHead response;
  http::FieldList trailers;
};

// As many streams as are open at once, used again and again.
class Streams {
 public:
  explicit Streams(BufferPool& pool) {
    for (int i = 0; i < kTurn + 1; ++i) free_.push_back(&all_.emplace_back(pool));
  }
  Stream& take() {
    Stream* stream = free_.back();
    free_.pop_back();
    return *stream;
  }
  void give(Stream& stream) {
    stream.forget();
    free_.push_back(&stream);
  }

 private:
  std::deque<Stream> all_;
  std::vector<Stream*> free_;
};

std::string text_of(Buffer& buffer) {
  std::string text(buffer.size(), '\0');
  buffer.peek(text.data(), text.size());
  buffer.clear();
  return text;
}

SessionLimits limits() {
  SessionLimits limits;
  limits.concurrent_streams = 1000;
  return limits;
}

// Reads `input` as a server that answers each request at once. Returns how many it answered.
int serve(Session& session, Streams& streams, const http::ResponseHead& answer, std::string_view input) {
  int answered = 0;
  while (true) {
    const Step step = session.next(input, kNow);
    input.remove_prefix(step.consumed);
    switch (step.event) {
      case Event::stream_begins: {
        Stream& stream = streams.take();
        session.attach(stream, stream.request, stream.trailers);
        break;
      }
      case Event::end: {
        auto& stream = static_cast<Stream&>(*step.stream);
        session.send_head(stream, answer, false);
        session.send_body(stream, kBody);
        session.send_end(stream, nullptr);
        streams.give(stream);
        ++answered;
        break;
      }
      case Event::need_more:
        return answered;
      default:
        break;
    }
  }
}

// What a client and a server say to each other, by turns.
struct Talk {
  std::vector<std::string> asked;
  std::vector<std::string> answered;
};

// `turn(bytes)` takes what a client has to say and gives what the server says to it.
template <typename Turn>
Talk talk(Turn&& turn) {
  BufferPool pool;
  Buffer out(pool);
  Arena arena(pool);
  http::RequestHead head(arena);
  fill(head);
  Streams streams(pool);
  Talk talk;
  Session client(Role::client, limits(), pool, out, kNow);
  for (int i = 0; i <= kRequests / kTurn; ++i) {
    talk.asked.push_back(text_of(out));
    talk.answered.push_back(turn(talk.asked.back()));
    std::string_view input = talk.answered.back();
    while (true) {
      const Step step = client.next(input, kNow);
      input.remove_prefix(step.consumed);
      if (step.event == Event::end) streams.give(static_cast<Stream&>(*step.stream));
      if (step.event == Event::body) client.consumed(*step.stream, step.body.size(), kNow);
      if (step.event == Event::need_more) break;
    }
    for (int n = 0; n < kTurn && i < kRequests / kTurn; ++n) {
      Stream& stream = streams.take();
      client.open(stream, head, "http", true, stream.response, stream.trailers);
    }
  }
  return talk;
}

Talk talk_with_ourselves() {
  BufferPool pool;
  Buffer out(pool);
  Arena arena(pool);
  http::ResponseHead answer(arena);
  fill(answer);
  Streams streams(pool);
  Session server(Role::server, limits(), pool, out, kNow);
  return talk([&](std::string_view input) {
    serve(server, streams, answer, input);
    server.pump();
    return text_of(out);
  });
}

void weir_server(benchmark::State& state) {
  const Talk said = talk_with_ourselves();
  BufferPool pool;
  Buffer out(pool);
  Arena arena(pool);
  http::ResponseHead answer(arena);
  fill(answer);
  Streams streams(pool);
  for (auto _ : state) {
    Session session(Role::server, limits(), pool, out, kNow);
    int answered = 0;
    for (const std::string& input : said.asked) {
      answered += serve(session, streams, answer, input);
      session.pump();
      benchmark::DoNotOptimize(out.size());
      out.clear();
    }
    if (answered != kRequests) return state.SkipWithError("not all were answered");
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
}
BENCHMARK(weir_server)->Unit(benchmark::kMicrosecond);

void weir_client(benchmark::State& state) {
  const Talk said = talk_with_ourselves();
  BufferPool pool;
  Buffer out(pool);
  Arena arena(pool);
  http::RequestHead head(arena);
  fill(head);
  Streams streams(pool);
  for (auto _ : state) {
    Session session(Role::client, limits(), pool, out, kNow);
    int answered = 0;
    for (std::string_view input : said.answered) {
      while (true) {
        const Step step = session.next(input, kNow);
        input.remove_prefix(step.consumed);
        if (step.event == Event::need_more) break;
        if (step.event == Event::body) session.consumed(*step.stream, step.body.size(), kNow);
        if (step.event != Event::end) continue;
        streams.give(static_cast<Stream&>(*step.stream));
        ++answered;
      }
      for (int n = 0; n < kTurn && answered < kRequests; ++n) {
        Stream& stream = streams.take();
        session.open(stream, head, "http", true, stream.response, stream.trailers);
      }
      session.pump();
      benchmark::DoNotOptimize(out.size());
      out.clear();
    }
    if (answered != kRequests) return state.SkipWithError("not all were answered");
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
}
BENCHMARK(weir_client)->Unit(benchmark::kMicrosecond);

nghttp2_nv field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

// A session of nghttp2, of either side, that does the same. Fields are copied, as a proxy has to.
class Peer {
 public:
  explicit Peer(bool server) : server_(server) {
    nghttp2_session_callbacks_new(&callbacks_);
    nghttp2_session_callbacks_set_on_header_callback(callbacks_, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks_, on_frame);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    nghttp2_session_del(session_);
    nghttp2_session_callbacks_del(callbacks_);
  }

  void begin() {
    nghttp2_session_del(session_);
    done_ = 0;
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (server_) {
      nghttp2_session_server_new2(&session_, callbacks_, this, option);
    } else {
      nghttp2_session_client_new2(&session_, callbacks_, this, option);
    }
    nghttp2_option_del(option);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  }
  void read(std::string_view input) {
    if (nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(input.data()), input.size()) < 0) {
      failed_ = true;
    }
  }
  void write() {
    const std::uint8_t* data = nullptr;
    while (true) {
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size <= 0) return;
      out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
  }
  void forget_output() { out_.clear(); }
  void ask() {
    std::array<nghttp2_nv, 4 + std::size(kFields)> fields{field(":method", "GET"), field(":scheme", "http"),
                                                          field(":path", "/index.html"),
                                                          field(":authority", kAuthority)};
    for (std::size_t i = 0; i < std::size(kFields); ++i) fields[4 + i] = field(kFields[i].name, kFields[i].value);
    nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), nullptr, nullptr);
  }
  int done() const { return failed_ ? -1 : done_; }

 private:
  static int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    auto* self = static_cast<Peer*>(user);
    self->fields_.append(reinterpret_cast<const char*>(name), name_size);
    self->fields_.append(reinterpret_cast<const char*>(value), value_size);
    return 0;
  }
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto* self = static_cast<Peer*>(user);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) {
      return 0;
    }
    benchmark::DoNotOptimize(self->fields_.size());
    self->fields_.clear();
    ++self->done_;
    if (!self->server_) return 0;
    std::array<nghttp2_nv, 1 + std::size(kAnswerFields)> fields{field(":status", "200")};
    for (std::size_t i = 0; i < std::size(kAnswerFields); ++i) {
      fields[1 + i] = field(kAnswerFields[i].name, kAnswerFields[i].value);
    }
    nghttp2_data_provider body{};
    body.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t, std::uint32_t* flags,
                            nghttp2_data_source*, void*) -> ssize_t {
      kBody.copy(reinterpret_cast<char*>(buffer), kBody.size());
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(kBody.size());
    };
    return nghttp2_submit_response(session, frame->hd.stream_id, fields.data(), fields.size(), &body);
  }

  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_session* session_ = nullptr;
  std::string fields_;
  std::string out_;
  int done_ = 0;
  const bool server_;
  bool failed_ = false;
};

void nghttp2_server(benchmark::State& state) {
  const Talk said = talk_with_ourselves();
  Peer peer(true);
  for (auto _ : state) {
    peer.begin();
    for (const std::string& input : said.asked) {
      peer.read(input);
      peer.write();
      peer.forget_output();
    }
    if (peer.done() != kRequests) return state.SkipWithError("not all were answered");
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
}
BENCHMARK(nghttp2_server)->Unit(benchmark::kMicrosecond);

void nghttp2_client(benchmark::State& state) {
  const Talk said = talk_with_ourselves();
  Peer peer(false);
  for (auto _ : state) {
    peer.begin();
    for (const std::string& input : said.answered) {
      peer.write();
      peer.forget_output();
      peer.read(input);
      for (int n = 0; n < kTurn && peer.done() < kRequests; ++n) peer.ask();
      peer.write();
    }
    if (peer.done() != kRequests) return state.SkipWithError("not all were answered");
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
}
BENCHMARK(nghttp2_client)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weir::http2
