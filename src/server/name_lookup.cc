#include "server/name_lookup.h"

#include <algorithm>
#include <cerrno>
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
  const bool confirms = std::exchange(confirming_, false);
  if (std::exchange(again_, false)) {
    // Another family is wanted meanwhile.
    loop_.timers().arm(timer_, loop_.now());
    return;
  }
  if (confirms && (result || result.error().code == ENOENT)) {
    if (result) found_.insert(found_.end(), result->addresses.begin(), result->addresses.end());
    rest();
    return found();
  }
  if (!confirms && result && !result->addresses.empty()) {
    found_ = std::move(result->addresses);
    if (const auto family = missing()) {
      confirming_ = true;
      return resolver_.resolve(resolution_, name_, *family);
    }
    rest();
    return found();
  }
  rest();
  if (!std::exchange(failing_, true)) {
    listener_.on_lookup_failed(result ? std::string_view("the name has no address") : result.error().message);
  }
  if (!std::exchange(answered_, true)) listener_.on_lookup_answered();
}

// Until the next look-up. Names that were configured together are not looked up together for ever.
void NameLookup::rest() {
  const auto tenth = static_cast<std::uint64_t>(settings_.refresh.count() / 10);
  const Duration jitter(static_cast<std::int64_t>(loop_.rng().between(0, tenth)));
  loop_.timers().arm(timer_, deadline_after(loop_.now(), settings_.refresh - jitter));
}

// A family of which there were addresses, and now none. A server that fails for one family alone answers in the same
// way as if there were none: it is asked for that family before its addresses go.
std::optional<AddressFamily> NameLookup::missing() const {
  const auto has = [](const std::vector<IpAddress>& addresses, IpAddress::Family family) {
    return std::ranges::any_of(addresses, [&](const IpAddress& address) { return address.family == family; });
  };
  const auto lost = [&](IpAddress::Family family) { return has(addresses_, family) && !has(found_, family); };
  const bool both = settings_.family == config::DnsFamily::kAll;
  if ((both || settings_.family == config::DnsFamily::kAuto) && lost(IpAddress::Family::ipv4)) {
    return AddressFamily::ipv4;
  }
  if (both && lost(IpAddress::Family::ipv6)) return AddressFamily::ipv6;
  return std::nullopt;
}

void NameLookup::found() {
  failing_ = false;
  std::vector<IpAddress> next = chosen(std::exchange(found_, {}), settings_.family);
  if (next != addresses_) {
    addresses_ = std::move(next);
    listener_.on_addresses(addresses_);
  }
  if (!std::exchange(answered_, true)) listener_.on_lookup_answered();
}

}  // namespace weir::server
