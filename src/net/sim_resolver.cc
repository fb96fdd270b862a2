#include "net/sim_resolver.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir {

struct SimResolver::Query final : ResolveQuery, TimerHandler {
  Query(SimResolver& its_owner, Resolution& resolution, std::string_view its_name, AddressFamily its_family)
      : ResolveQuery(resolution), owner(its_owner), name(its_name), family(its_family), timer(*this) {}

  void on_timer(Timer&) override { owner.finish(*this); }

  SimResolver& owner;
  std::string name;
  AddressFamily family;
  Timer timer;
};

SimResolver::SimResolver(EventLoop& loop) : loop_(loop) {}

SimResolver::~SimResolver() = default;

void SimResolver::resolve(Resolution& resolution, std::string_view name, AddressFamily family) {
  ++questions_;
  std::erase_if(queries_, [](const auto& query) { return query->cancelled(); });
  queries_.push_back(std::make_unique<Query>(*this, resolution, name, family));
  loop_.timers().arm(queries_.back()->timer, deadline_after(loop_.now(), delay_));
}

Result<ResolvedAddresses> SimResolver::lookup(const std::string& name, AddressFamily family) const {
  const auto found = script_.find(name);
  if (found == script_.end()) return fail("cannot resolve \"" + name + "\": Domain name not found", ENOENT);
  if (failing_.contains({name, family})) return fail("cannot resolve \"" + name + "\": server failure", EAGAIN);
  Result<ResolvedAddresses> result = found->second;
  if (!result) return result;
  std::erase_if(result->addresses, [&](const IpAddress& address) {
    const auto its = address.family == IpAddress::Family::ipv4 ? AddressFamily::ipv4 : AddressFamily::ipv6;
    return (family != AddressFamily::any && family != its) || failing_.contains({name, its});
  });
  if (result->addresses.empty()) return fail("cannot resolve \"" + name + "\": no address of the family", ENOENT);
  return result;
}

void SimResolver::finish(Query& query) {
  const auto place =
      std::find_if(queries_.begin(), queries_.end(), [&](const auto& each) { return each.get() == &query; });
  const std::unique_ptr<Query> finished = std::move(*place);
  queries_.erase(place);
  finished->finish(lookup(finished->name, finished->family));
}

}  // namespace weir
