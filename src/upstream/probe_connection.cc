#include "upstream/probe_connection.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tls/client_context.h"

namespace weir {
namespace {

// Of a handshake with a backend that sends faster than it can be dealt with.
constexpr int kHandshakeRounds = 64;

}  // namespace

bool ProbeConnection::start(ReadinessHandler& handler) {
  Engine& engine = io_.loop().engine();
  const auto socket = engine.connect(approach_.address);
  if (!socket) {
    fail_to_connect(socket.error().code);
    return false;
  }
  io_.open(*socket);
  if (const auto watched = engine.watch(*socket, handler); !watched) {
    fail(Problem::Kind::own_trouble, watched.error().message);
    return false;
  }
  return true;
}

ProbeConnection::Stage ProbeConnection::advance() {
  if (stage_ == Stage::connecting) {
    const int error = io_.loop().engine().connect_error(io_.socket());
    if (error == EINPROGRESS) return stage_;
    error == 0 ? connected() : fail_to_connect(error);
  }
  if (stage_ == Stage::handshake) shake_hands();
  return stage_;
}

void ProbeConnection::connected() {
  if (approach_.proxy_protocol) {
    std::array<char, kProxyWrittenBytesMax> room;
    io_.output().append(write_proxy_header(*approach_.proxy_protocol, {}, room));
  }
  if (approach_.tls == nullptr) {
    stage_ = Stage::ready;
    return;
  }
  // The header goes in the clear. A connection that is new takes it whole.
  std::size_t sent = 0;
  switch (io_.flush(sent)) {
    case FlushResult::done:
      break;
    case FlushResult::blocked:
      return fail(Problem::Kind::own_trouble, "write: the PROXY header is stuck");
    case FlushResult::failed:
      return fail(Problem::Kind::unreachable, "write: the connection is dead");
  }
  auto layer = approach_.tls->connect(io_.loop().buffers(), approach_.tls_host, nullptr, approach_.tls_protocol);
  if (layer == nullptr) return fail(Problem::Kind::own_trouble, "TLS: out of memory");
  io_.secure(std::move(layer));
  stage_ = Stage::handshake;
}

void ProbeConnection::shake_hands() {
  std::size_t sent = 0;
  if (io_.unsent() > 0) static_cast<void>(io_.flush(sent));
  ReadScratch scratch;
  SecureLayer::Handshake step{SecureLayer::Handshake::Status::waiting};
  // A FIN behind what came gives no further edge: it is looked for.
  int rounds = 0;
  do {
    if (++rounds > kHandshakeRounds) return fail(Problem::Kind::tls, "the handshake has no end");
    step = io_.handshake(scratch);
  } while (step.status == SecureLayer::Handshake::Status::waiting && (step.received > 0 || !step.drained));
  switch (step.status) {
    case SecureLayer::Handshake::Status::waiting:
      return;
    case SecureLayer::Handshake::Status::failed:
      return fail(Problem::Kind::tls, io_.secure_layer()->failure_text());
    case SecureLayer::Handshake::Status::done:
      stage_ = Stage::ready;
      return;
  }
}

void ProbeConnection::fail(Problem::Kind kind, std::string text) {
  stage_ = Stage::failed;
  problem_ = {kind, std::move(text)};
}

void ProbeConnection::fail_to_connect(int error) {
  // ENOENT: the path of a unix socket that nobody has bound.
  const bool refused = error == ECONNREFUSED || error == ENOENT;
  const Problem::Kind kind = is_own_trouble(error) ? Problem::Kind::own_trouble
                             : refused             ? Problem::Kind::refused
                                                   : Problem::Kind::unreachable;
  fail(kind, error == ECONNREFUSED ? "connection refused" : fmt::format("connect: {}", std::strerror(error)));
}

}  // namespace weir
