// HTTP/1 to HTTP/2 and back, as two Weirs behind one another would do it: a message means the same at its end, and
// nothing can be hidden in it that makes another message of it. The first byte says whether it is a request or a
// response, and of what kind.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "http/http1/encoder.h"
#include "http/http1/test_util.h"
#include "http/http2/session_test_util.h"
#include "proxy/forwarding.h"

namespace weir::proxy {
namespace {

using http::BodyKind;
using http::FieldId;
using http2::Role;
using http2::test::OwnedStream;
using http2::test::Owner;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr http::HeadLimits kRoomy{.header_bytes = 1 << 20, .headers = 10'000, .uri_bytes = 1 << 20};

http2::SessionLimits roomy_limits() {
  http2::SessionLimits limits;
  limits.head = kRoomy;
  return limits;
}

// What a message says, without what belongs to a hop: sorted, names in lower case, Cookie in one line.
Fields meaning(const Fields& fields) {
  constexpr std::string_view kOfHop[] = {"connection",       "transfer-encoding", "x-forwarded-for",
                                         "x-forwarded-host", "x-forwarded-proto", "x-request-id"};
  Fields result;
  std::string cookie;
  bool has_cookie = false;
  for (const auto& [spelled, value] : fields) {
    std::string name = spelled;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (name == "cookie") {
      has_cookie = true;
      if (!cookie.empty() && !value.empty()) cookie += "; ";
      cookie += value;
    } else if (std::find(std::begin(kOfHop), std::end(kOfHop), name) == std::end(kOfHop)) {
      result.emplace_back(std::move(name), value);
    }
  }
  if (has_cookie) result.emplace_back("cookie", cookie);
  std::sort(result.begin(), result.end());
  return result;
}
Fields meaning(const http::FieldList& fields) {
  return meaning(http1::test::copy_fields(fields, false));
}

struct Body {
  std::string bytes;
  bool complete = false;
};

// The rest of a message, behind its head.
template <typename Next>
Body read_body(std::string_view input, Next&& next) {
  Body body;
  while (true) {
    const http1::Step step = next(input);
    input.remove_prefix(step.consumed);
    body.bytes += step.body;
    body.complete = step.event == http1::Event::end;
    if (step.event != http1::Event::body) return body;
  }
}

void write_body(Buffer& out, BodyKind kind, std::string_view body, const http::FieldList& trailers) {
  if (kind != BodyKind::chunked && kind != BodyKind::stream_end) return out.append(body);
  if (!body.empty()) http1::write_chunk(out, body);
  http1::write_last_chunk(out, trailers.size() > 0 ? &trailers : nullptr);
}

std::string text_of(const Buffer& buffer) {
  std::string text(buffer.size(), '\0');
  buffer.peek(text.data(), text.size());
  return text;
}

// The one message that was written, with nothing behind it.
const http1::test::Message& only_message(const http1::test::Outcome& outcome, std::size_t size) {
  WEIR_CHECK(outcome.error == http1::DecodeError::none);
  WEIR_CHECK(outcome.messages.size() == 1);
  WEIR_CHECK(outcome.messages[0].complete);
  WEIR_CHECK(outcome.consumed == size);
  return outcome.messages[0];
}

void request(std::string_view input) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  http1::RequestDecoder decoder;
  const http1::Step step = decoder.next(input, head, trailers, {});
  if (step.event != http1::Event::head) return;
  const Body body = read_body(input.substr(step.consumed), [&](std::string_view rest) {
    http::RequestHead none(arena);
    return decoder.next(rest, none, trailers, {});
  });
  // An HTTP/1.0 request may lack what HTTP/2 must have.
  if (!body.complete || head.authority.empty() || head.upgrade_websocket || head.method == http::Method::connect)
    return;
  const ClientIdentity identity{};
  tell_of_client(head, {&identity, "http", "id", false});
  prepare_request(head, {&identity, "http", "id", false});
  clean_trailers(trailers);

  Owner client(Role::client, roomy_limits());
  Owner server(Role::server, roomy_limits());
  http2::test::exchange(client, server);
  auto& sent = *(client.streams[1] = std::make_unique<OwnedStream>(client.pool));
  const bool bodiless = head.body == BodyKind::none;
  client.session.open(sent, head, "http", bodiless, sent.response, sent.trailers);
  if (!bodiless) {
    client.session.send_body(sent, body.bytes);
    client.session.send_end(sent, trailers.size() > 0 ? &trailers : nullptr);
  }
  http2::test::exchange(client, server);
  WEIR_CHECK(server.streams.contains(1));
  OwnedStream& came = server.stream(1);
  WEIR_CHECK(came.ended);
  tell_of_client(came.request, {&identity, "http", "id", false});
  prepare_request(came.request, {&identity, "http", "id", false});
  clean_trailers(came.trailers);

  Buffer out(pool);
  http1::write_request_head(out, came.request);
  write_body(out, came.request.body, came.body, came.trailers);
  const http1::test::Outcome outcome = http1::test::decode_requests(text_of(out), http1::test::whole, kRoomy);
  const http1::test::Message& message = only_message(outcome, out.size());
  WEIR_CHECK(message.start == std::string(head.method_text) + " " + std::string(head.path) + " " +
                                  std::string(head.authority) + " HTTP/1.1");
  if (bodiless && came.request.fields.has(FieldId::content_length) && !head.fields.has(FieldId::content_length)) {
    head.fields.add("content-length", "0", FieldId::content_length);
  }
  WEIR_CHECK(meaning(message.fields) == meaning(head.fields));
  WEIR_CHECK(message.body == body.bytes);
  WEIR_CHECK(meaning(message.trailers) == meaning(trailers));
  client.session.reset(sent, http2::ErrorCode::cancel);
}

void response(std::string_view input, http::Method method) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  http::FieldList trailers(arena);
  http1::ResponseDecoder decoder;
  decoder.expect(method);
  const http1::Step step = decoder.next(input, head, trailers, {});
  if (step.event != http1::Event::head || head.status < 200) return;
  Body body = read_body(input.substr(step.consumed), [&](std::string_view rest) {
    http::ResponseHead none(arena);
    return decoder.next(rest, none, trailers, {});
  });
  if (!body.complete && head.body != BodyKind::until_close) return;
  head.fields.remove(FieldId::host);  // means nothing there, and HTTP/2 leaves it out
  const ResponseFacts facts{"id", "now", false};
  prepare_response(head, facts);
  clean_trailers(trailers);

  Owner client(Role::client, roomy_limits());
  Owner server(Role::server, roomy_limits());
  http2::test::exchange(client, server);
  OwnedStream& answered = client.open([method](http::RequestHead& asked) {
    asked.method = method;
    asked.method_text = to_string(method);
  });
  http2::test::exchange(client, server);
  OwnedStream& stream = server.stream(1);
  const bool bodiless = head.body == BodyKind::none || (head.body == BodyKind::length && head.content_length == 0);
  server.session.send_head(stream, head, bodiless);
  if (!bodiless) {
    server.session.send_body(stream, body.bytes);
    server.session.send_end(stream, trailers.size() > 0 ? &trailers : nullptr);
  }
  http2::test::exchange(server, client);
  WEIR_CHECK(answered.ended);
  http::ResponseHead& came = answered.response;
  prepare_response(came, facts);
  clean_trailers(answered.trailers);

  Buffer out(pool);
  const bool said_by_end = came.body == BodyKind::none && !head.fields.has(FieldId::content_length);
  frame_response(came, method);
  http1::write_response_head(out, came);
  write_body(out, came.body, answered.body, answered.trailers);
  const http1::test::Outcome outcome =
      http1::test::decode_response(text_of(out), http1::test::whole, method, false, kRoomy);
  const http1::test::Message& message = only_message(outcome, out.size());
  WEIR_CHECK(message.start.starts_with("HTTP/1.1 " + std::to_string(head.status) + " "));
  if (said_by_end && came.fields.has(FieldId::content_length)) {
    head.fields.add("content-length", "0", FieldId::content_length);
  }
  WEIR_CHECK(meaning(message.fields) == meaning(head.fields));
  WEIR_CHECK(message.body == body.bytes);
  WEIR_CHECK(meaning(message.trailers) == meaning(trailers));
}

}  // namespace
}  // namespace weir::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 < 2) {
    weir::proxy::request(input);
  } else {
    weir::proxy::response(input, data[0] % 4 == 2 ? weir::http::Method::get : weir::http::Method::head);
  }
  return 0;
}
