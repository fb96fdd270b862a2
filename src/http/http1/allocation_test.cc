// In the steady state a message costs no heap allocation: counted by replacing operator new in this test program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "http/http1/decoder.h"
#include "http/http1/encoder.h"

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace weir::http1 {
namespace {

const std::string& input() {
  static const std::string text = [] {
    std::string request = "POST http://b/a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    for (int i = 0; i < 60; ++i) request += "X-Field-" + std::to_string(i) + ": value\r\n";
    return request + "\r\n5;a=b\r\nhello\r\n1\r\nx\r\n0\r\nX-T: 1\r\n\r\n";
  }();
  return text;
}

struct Relay {
  BufferPool pool;
  Arena arena{pool};
  http::RequestHead head{arena};
  http::FieldList trailers{arena};
  Buffer out{pool};
  RequestDecoder decoder;

  // Decodes and encodes one message; the input is known in pieces of `piece` bytes.
  void one_message(std::string_view text, std::size_t piece) {
    std::size_t at = 0;
    for (std::size_t known = std::min(piece, text.size());;) {
      const Step step = decoder.next(text.substr(at, known - at), head, trailers, {});
      at += step.consumed;
      if (step.event == Event::head) {
        head.adopt();
        write_request_head(out, head);
      } else if (step.event == Event::body) {
        write_chunk(out, step.body);
      } else if (step.event == Event::need_more) {
        known = std::min(known + piece, text.size());
      } else {
        ASSERT_EQ(step.event, Event::end);
        write_last_chunk(out, &trailers);
        break;
      }
    }
    head.clear();
    trailers.clear();
    arena.clear();
    out.clear();
  }
};

TEST(Allocations, NonePerMessage) {
  Relay relay;
  for (const std::size_t piece : {std::size_t{7}, std::size_t{500}, input().size()}) {
    relay.one_message(input(), piece);
    const std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) relay.one_message(input(), piece);
    EXPECT_EQ(allocations - before, 0u) << piece;
  }
  const std::size_t before = allocations;
  ::operator delete(::operator new(1));
  EXPECT_EQ(allocations - before, 1u) << "the counter counts";
}

}  // namespace
}  // namespace weir::http1
