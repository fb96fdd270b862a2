#include "server/name_lookup.h"

#include <algorithm>
#include <utility>

namespace weir::server {
namespace {

AddressFamily family_of(config::DnsFamily family) {
  switch (family) {
    case config::DnsFamily::kIpv4:
      return AddressFamily::ipv4;
    case config::DnsFamily::kIpv6:
      return AddressFamily::ipv6;
    case config::DnsFamily::kAuto:
    case config::DnsFamily::kAll:
      break;
  }
  return AddressFamily::any;
}

bool is_ipv4(const IpAddress& address) {
  return address.family == IpAddress::Family::ipv4;
}

// `auto`: the IPv4 addresses where there are any.
std::vector<IpAddress> chosen(std::vector<IpAddress> found, config::DnsFamily family) {
  if (family == config::DnsFamily::kAuto && std::any_of(found.begin(), found.end(), is_ipv4)) {
    std::erase_if(found, [](const IpAddress& address) { return !is_ipv4(address); });
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

NameLookup::NameLookup(EventLoop& loop, Resolver& resolver, std::string name, const config::DnsSpec& settings,
                       NameListener& listener)
    : loop_(loop),
      resolver_(resolver),
      name_(std::move(name)),
      settings_(settings),
      listener_(listener),
      timer_(*this),
      resolution_(*this) {
  // Not from the constructor: the owner is not complete yet.
  loop_.timers().arm(timer_, loop_.now());
}

NameLookup::~NameLookup() = default;

void NameLookup::update(const config::DnsSpec& settings) {
  const bool other_family = settings.family != settings_.family;
  settings_ = settings;
  if (resolution_.pending()) {
    again_ = again_ || other_family;
    return;
  }
  const TimePoint next = other_family ? loop_.now() : deadline_after(loop_.now(), settings_.refresh);
  if (next < timer_.deadline()) loop_.timers().arm(timer_, next);
}

void NameLookup::on_timer(Timer&) {
  resolver_.resolve(resolution_, name_, family_of(settings_.family));
}

void NameLookup::on_resolved(Resolution&, Result<ResolvedAddresses> result) {
  if (std::exchange(again_, false)) {
    loop_.timers().arm(timer_, loop_.now());
  } else {
    // So that names that were configured together are not looked up together for ever.
    const auto tenth = static_cast<std::uint64_t>(settings_.refresh.count() / 10);
    const Duration jitter(static_cast<std::int64_t>(loop_.rng().between(0, tenth)));
    loop_.timers().arm(timer_, deadline_after(loop_.now(), settings_.refresh - jitter));
  }
  if (result && !result->addresses.empty()) {
    failing_ = false;
    std::vector<IpAddress> found = chosen(std::move(result->addresses), settings_.family);
    if (found != addresses_) {
      addresses_ = std::move(found);
      listener_.on_addresses(addresses_);
    }
  } else if (!std::exchange(failing_, true)) {
    listener_.on_lookup_failed(result ? std::string_view("the name has no address") : result.error().message);
  }
  if (!std::exchange(answered_, true)) listener_.on_lookup_answered();
}

}  // namespace weir::server
