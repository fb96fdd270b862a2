#include "server/inherited_sockets.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace weir::server {
namespace {

constexpr int kFirstDescriptor = 3;

int number(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

InheritedSockets::InheritedSockets(EpollEngine& engine, const std::string& pid, const std::string& count)
    : engine_(engine) {
  if (number(pid) != ::getpid()) return;
  for (int socket = kFirstDescriptor; socket < kFirstDescriptor + number(count); ++socket) {
    if (!engine_.inherit(socket)) continue;
    if (auto address = engine_.local_address(socket)) sockets_.push_back({std::move(*address), socket});
  }
}

std::optional<SocketId> InheritedSockets::take(const SocketAddress& address) {
  const auto found = std::find_if(sockets_.begin(), sockets_.end(),
                                  [&](const Inherited& inherited) { return inherited.address == address; });
  if (found == sockets_.end()) return std::nullopt;
  const SocketId socket = found->socket;
  sockets_.erase(found);
  return socket;
}

void InheritedSockets::close_rest() {
  for (const Inherited& inherited : sockets_) engine_.close(inherited.socket);
  sockets_.clear();
}

}  // namespace weir::server
