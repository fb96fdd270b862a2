#include "server/listener_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir::server {
namespace {

std::string reason_of(const Error& error) {
  return error.code != 0 ? std::string(std::strerror(error.code)) : error.message;
}

}  // namespace

ListenerSet::ListenerSet(Engine& engine, std::size_t workers, TakeInherited take_inherited)
    : engine_(engine), workers_(workers), take_inherited_(std::move(take_inherited)) {}

Result<ListenerSet::Plan> ListenerSet::prepare(std::span<const Settings> listeners) {
  Plan plan;
  plan.sockets.resize(workers_);
  std::vector<bool> kept(bound_.size(), false);
  const auto keep = [&](const auto& matches) -> const Bound* {
    for (std::size_t i = 0; i < bound_.size(); ++i) {
      if (kept[i] || !matches(bound_[i])) continue;
      kept[i] = true;
      return &bound_[i];
    }
    return nullptr;
  };
  // First those that stay as they are, so that no other takes their sockets.
  std::vector<const Bound*> found(listeners.size(), nullptr);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    found[i] = keep([&](const Bound& old) {
      return old.listener == listeners[i]->name && old.configured == listeners[i]->address;
    });
  }
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const proxy::ListenerSettings& settings = *listeners[i];
    if (found[i] == nullptr) {
      found[i] = keep([&](const Bound& old) {
        // Two listeners that leave the port to the kernel want two ports.
        return old.configured == settings.address && (settings.address.is_unix() || settings.address.port != 0);
      });
      if (found[i] != nullptr) {
        for (std::size_t worker = 0; worker < (settings.address.is_unix() ? 1 : workers_); ++worker) {
          plan.sockets[worker].push_back({settings.name, kNoSocket, found[i]->listener});
        }
      }
    }
    if (found[i] != nullptr) {
      plan.bound.push_back({settings.name, settings.address, found[i]->actual});
      continue;
    }
    auto bound = bind(settings, plan);
    if (!bound) {
      abandon(plan);
      return std::unexpected(std::move(bound.error()));
    }
    plan.bound.push_back(std::move(*bound));
  }
  return plan;
}

void ListenerSet::abandon(Plan& plan) {
  for (auto& sockets : plan.sockets) {
    for (const auto& socket : sockets) {
      if (socket.socket != kNoSocket) engine_.close(socket.socket);
    }
    sockets.clear();
  }
}

void ListenerSet::commit(Plan& plan) {
  for (const auto& sockets : plan.sockets) {
    for (const auto& socket : sockets) {
      if (socket.socket != kNoSocket) engine_.release(socket.socket);
    }
  }
  for (const Bound& bound : plan.bound) ours_.insert(bound.actual);
  bound_ = plan.bound;
}

Result<ListenerSet::Bound> ListenerSet::bind(const proxy::ListenerSettings& settings, Plan& plan) {
  Bound bound{settings.name, settings.address, settings.address};
  if (auto done = bind_all(settings.address, settings.name, plan, bound.actual); !done) {
    return fail(fmt::format("listener {}: cannot listen on {}: {}", settings.name, settings.address.to_string(),
                            reason_of(done.error())),
                done.error().code);
  }
  return bound;
}

Result<void> ListenerSet::bind_all(const SocketAddress& address, const std::string& listener, Plan& plan,
                                   SocketAddress& actual) {
  // Inherited sockets are shared with whoever gave them: as many as there are serve as many workers.
  std::size_t worker = 0;
  while (take_inherited_ && worker < workers_) {
    const auto inherited = take_inherited_(address);
    if (!inherited) break;
    plan.sockets[worker++].push_back({listener, *inherited, {}});
  }
  if (worker > 0) return {};
  if (address.is_unix()) {
    auto socket = engine_.listen(address, {.reuse_port = false});
    if (!socket) return std::unexpected(std::move(socket.error()));
    plan.sockets[0].push_back({listener, *socket, {}});
    return {};
  }
  SocketAddress where = address;
  for (; worker < workers_; ++worker) {
    auto socket = worker == 0 ? listen_first(where, plan) : engine_.listen(where, {.reuse_port = true});
    if (!socket) return std::unexpected(std::move(socket.error()));
    plan.sockets[worker].push_back({listener, *socket, {}});
    if (worker > 0) continue;
    auto local = engine_.local_address(*socket);
    if (!local) return std::unexpected(std::move(local.error()));
    where = *local;
  }
  actual = where;
  return {};
}

// SO_REUSEPORT would let us share an address with another process of the same user, which then gets a part of our
// connections. So an address that is new to us is tried without it first, unless sockets of ours would be in the way.
Result<SocketId> ListenerSet::listen_first(const SocketAddress& address, const Plan& plan) {
  const auto in_the_way = [&](const Bound& bound) {
    const SocketAddress& ours = bound.actual;
    if (ours.port != address.port || ours.ip.family != address.ip.family) return false;
    return ours.ip.is_wildcard() || address.ip.is_wildcard();
  };
  const bool overlaps = std::ranges::any_of(bound_, in_the_way) || std::ranges::any_of(plan.bound, in_the_way);
  if (address.port != 0 && !ours_.contains(address) && !overlaps) {
    auto alone = engine_.listen(address, {.reuse_port = false});
    if (!alone) return alone;
    engine_.close(*alone);
  }
  return engine_.listen(address, {.reuse_port = true});
}

}  // namespace weir::server
