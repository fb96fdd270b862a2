#include <benchmark/benchmark.h>

#include <string>

#include "http/http1/decoder.h"
#include "http/http1/encoder.h"
#include "http/path.h"

namespace weir::http1 {
namespace {

// What a browser sends: ten fields.
constexpr std::string_view kRequest =
    "GET /index.html HTTP/1.1\r\n"
    "Host: 127.0.0.1:20100\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; lang=en\r\n"
    "Referer: https://www.example.com/a/b/c?d=e\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: backend\r\n"
    "Date: Sat, 21 Nov 2026 09:09:01 GMT\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 64\r\n"
    "\r\n";

void request(benchmark::State& state, bool adopt, bool encode) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList trailers(arena);
  http::RequestHead head(arena);
  Buffer out(pool);
  RequestDecoder decoder;
  const http::HeadLimits limits;
  const std::string input(kRequest);
  std::string_view view = input;
  for (auto _ : state) {
    benchmark::DoNotOptimize(view);
    const Step step = decoder.next(view, head, trailers, limits);
    if (step.event != Event::head) return state.SkipWithError("not parsed");
    if (adopt) head.adopt();
    if (encode) write_request_head(out, head);
    decoder.next(view.substr(step.consumed), head, trailers, limits);
    benchmark::DoNotOptimize(out.size());
    head.clear();
    arena.clear();
    out.clear();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * input.size()));
}
BENCHMARK_CAPTURE(request, decode, false, false);
BENCHMARK_CAPTURE(request, decode_adopt, true, false);
BENCHMARK_CAPTURE(request, decode_adopt_encode, true, true);

void response(benchmark::State& state) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList trailers(arena);
  http::ResponseHead head(arena);
  ResponseDecoder decoder;
  const http::HeadLimits limits;
  const std::string input = std::string(kResponse) + std::string(64, 'x');
  std::string_view view = input;
  for (auto _ : state) {
    benchmark::DoNotOptimize(view);
    decoder.expect(http::Method::get);
    std::size_t at = 0;
    Step step;
    do {
      step = decoder.next(view.substr(at), head, trailers, limits);
      at += step.consumed;
      benchmark::DoNotOptimize(step.body);
    } while (step.event == Event::head || step.event == Event::body);
    if (step.event != Event::end) return state.SkipWithError("not parsed");
    head.clear();
    arena.clear();
  }
}
BENCHMARK(response);

void normal_path(benchmark::State& state) {
  char scratch[64];
  std::string_view target = "/api/v1/users/12345/profile?full=1";
  for (auto _ : state) {
    benchmark::DoNotOptimize(target);
    benchmark::DoNotOptimize(http::normalise_path(target, scratch));
  }
}
BENCHMARK(normal_path);

}  // namespace
}  // namespace weir::http1
