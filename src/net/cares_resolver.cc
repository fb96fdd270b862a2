#include "net/cares_resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

namespace weir {
namespace {

int to_errno(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME:
      return ENOENT;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
      return ETIMEDOUT;
    default:
      return EAGAIN;
  }
}

std::optional<IpAddress> to_address(const sockaddr* address) {
  IpAddress ip;
  if (address->sa_family == AF_INET) {
    ip.family = IpAddress::Family::ipv4;
    std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
    return ip;
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  return IpAddress::from_ipv6(ip.bytes);
}

ResolvedAddresses to_addresses(const ares_addrinfo& answer) {
  ResolvedAddresses result;
  Duration ttl = kForever;
  for (const ares_addrinfo_node* node = answer.nodes; node != nullptr; node = node->ai_next) {
    if (const auto ip = to_address(node->ai_addr)) result.addresses.push_back(*ip);
    ttl = std::min<Duration>(ttl, std::chrono::seconds(std::max(node->ai_ttl, 0)));
  }
  std::sort(result.addresses.begin(), result.addresses.end());
  result.addresses.erase(std::unique(result.addresses.begin(), result.addresses.end()), result.addresses.end());
  if (ttl != kForever) result.ttl = ttl;
  return result;
}

}  // namespace

struct CaresResolver::Query final : ResolveQuery {
  Query(CaresResolver& its_owner, Resolution& resolution, std::string_view its_name, AddressFamily its_family)
      : ResolveQuery(resolution), owner(its_owner), name(its_name), family(its_family) {}

  CaresResolver& owner;
  const std::string name;
  const AddressFamily family;
  Result<ResolvedAddresses> result;
};

Result<std::unique_ptr<CaresResolver>> CaresResolver::open(EventLoop& loop, const Options& options) {
  if (const int status = ares_library_init(ARES_LIB_INIT_ALL); status != ARES_SUCCESS) {
    return fail(std::string("cannot start the resolver: ") + ares_strerror(status));
  }
  std::unique_ptr<CaresResolver> resolver(new CaresResolver(loop, options));
  if (auto opened = resolver->open_channel(); !opened) return std::unexpected(std::move(opened.error()));
  return resolver;
}

CaresResolver::CaresResolver(EventLoop& loop, Options options)
    : loop_(loop), timer_(*this), options_(std::move(options)) {}

Result<void> CaresResolver::open_channel() {
  char lookups[] = "fb";
  std::string resolv_conf = options_.resolv_conf;
  ares_options settings{};
  settings.lookups = lookups;
  settings.timeout = static_cast<int>(options_.try_timeout / 1ms);
  settings.tries = options_.tries;
  settings.sock_state_cb = on_socket_state;
  settings.sock_state_cb_data = this;
  settings.resolvconf_path = resolv_conf.data();
  settings.udp_port = settings.tcp_port = options_.port;
  const int mask = ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
                   ARES_OPT_RESOLVCONF | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
  const FileState state = state_of(options_.resolv_conf);
  ares_channeldata* channel = nullptr;
  int status = ares_init_options(&channel, &settings, mask);
  if (status == ARES_SUCCESS && !options_.servers.empty()) {
    status = ares_set_servers_ports_csv(channel, options_.servers.c_str());
  }
  if (status != ARES_SUCCESS) {
    if (channel != nullptr) ares_destroy(channel);
    return fail(std::string("cannot start the resolver: ") + ares_strerror(status));
  }
  // What the servers of before still owe is asked anew: they may never answer.
  std::vector<std::unique_ptr<Query>> owed;
  moving_ = &owed;
  if (channel_ != nullptr) ares_destroy(channel_);
  moving_ = nullptr;
  channel_ = channel;
  resolv_conf_ = state;
  for (auto& query : owed) {
    if (!query->cancelled()) ask(std::move(query));
  }
  return {};
}

CaresResolver::FileState CaresResolver::state_of(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return {};
  return {static_cast<std::int64_t>(status.st_ino), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

// c-ares reads it once for each channel. Weir may have been started before the network was there.
void CaresResolver::follow_resolv_conf() {
  if (!options_.servers.empty() || state_of(options_.resolv_conf) == resolv_conf_) return;
  // Else with what was there before.
  static_cast<void>(open_channel());
}

CaresResolver::~CaresResolver() {
  if (channel_ != nullptr) ares_destroy(channel_);
  ares_library_cleanup();
}

void CaresResolver::resolve(Resolution& resolution, std::string_view name, AddressFamily family) {
  follow_resolv_conf();
  ask(std::make_unique<Query>(*this, resolution, name, family));
}

void CaresResolver::ask(std::unique_ptr<Query> query) {
  const AddressFamily family = query->family;
  ares_addrinfo_hints hints{};
  hints.ai_family = family == AddressFamily::any ? AF_UNSPEC : family == AddressFamily::ipv4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;  // the order is ours; sorting would open a socket per address
  const char* name = query->name.c_str();
  // May answer at once.
  ares_getaddrinfo(channel_, name, nullptr, &hints, on_answer, query.release());
  arm_timer();
}

void CaresResolver::on_answer(void* argument, int status, int, ares_addrinfo* answer) {
  std::unique_ptr<Query> query(static_cast<Query*>(argument));
  if (answer != nullptr && status == ARES_SUCCESS) query->result = to_addresses(*answer);
  if (answer != nullptr) ares_freeaddrinfo(answer);
  if (status == ARES_EDESTRUCTION) {
    if (auto* moving = query->owner.moving_) moving->push_back(std::move(query));
    return;
  }
  if (query->cancelled()) return;
  if (status == ARES_SUCCESS && query->result->addresses.empty()) status = ARES_ENODATA;
  if (status != ARES_SUCCESS) {
    query->result = fail("cannot resolve \"" + query->name + "\": " + ares_strerror(status), to_errno(status));
  }
  CaresResolver& self = query->owner;
  self.answered_.push_back(std::move(query));
  self.loop_.mark_ready(self);
}

// The handlers may ask again, or destroy this resolver's other resolutions.
void CaresResolver::resume() {
  std::deque<std::unique_ptr<Query>> answered;
  answered.swap(answered_);
  for (const auto& query : answered) query->finish(std::move(query->result));
}

void CaresResolver::on_socket_state(void* argument, int socket, int readable, int writable) {
  CaresResolver& self = *static_cast<CaresResolver*>(argument);
  const auto with = [&](SocketId wanted) {
    return std::find_if(self.watches_.begin(), self.watches_.end(),
                        [&](const auto& each) { return each->socket == wanted; });
  };
  auto watch = with(socket);
  if (readable == 0 && writable == 0) {
    if (watch == self.watches_.end()) return;
    self.loop_.engine().release(socket);
    (*watch)->socket = kNoSocket;
    return;
  }
  if (watch == self.watches_.end()) watch = with(kNoSocket);
  if (watch == self.watches_.end()) {
    self.watches_.push_back(std::make_unique<Watch>(self));
    watch = self.watches_.end() - 1;
  }
  (*watch)->socket = socket;
  // If it cannot be watched, the query times out.
  static_cast<void>(self.loop_.engine().watch(socket, **watch, writable != 0 ? Trigger::level_both : Trigger::level));
}

void CaresResolver::process(SocketId socket, Readiness readiness) {
  ares_process_fd(channel_, readiness.can_read() ? socket : ARES_SOCKET_BAD,
                  readiness.can_write() ? socket : ARES_SOCKET_BAD);
  arm_timer();
}

void CaresResolver::on_timer(Timer&) {
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  arm_timer();
}

void CaresResolver::arm_timer() {
  timeval left;
  if (ares_timeout(channel_, nullptr, &left) == nullptr) {
    loop_.timers().disarm(timer_);
    return;
  }
  const Duration wait = std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
  loop_.timers().arm(timer_, loop_.now() + wait + 1ms);
}

}  // namespace weir
