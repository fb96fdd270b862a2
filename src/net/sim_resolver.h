#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "net/resolver.h"

namespace weir {

// A resolver that answers from a script.
class SimResolver final : public Resolver {
 public:
  explicit SimResolver(EventLoop& loop);
  ~SimResolver() override;

  // What `name` resolves to from now on, also for questions under way. Names without an answer do not exist.
  void answer(const std::string& name, ResolvedAddresses addresses) {
    script_.insert_or_assign(name, std::move(addresses));
  }
  void answer(const std::string& name, Error error) {
    script_.insert_or_assign(name, std::unexpected(std::move(error)));
  }
  // From now on servers fail for this family of the name's addresses: a question for any gets the others.
  void fail_family(const std::string& name, AddressFamily family) { failing_.insert({name, family}); }
  void mend(const std::string& name) {
    std::erase_if(failing_, [&](const auto& failing) { return failing.first == name; });
  }
  // How long an answer takes; kForever: none comes until the delay is changed and the question asked again.
  void set_delay(Duration delay) { delay_ = delay; }

  void resolve(Resolution& resolution, std::string_view name, AddressFamily family) override;
  std::size_t questions() const { return questions_; }

 private:
  struct Query;

  Result<ResolvedAddresses> lookup(const std::string& name, AddressFamily family) const;
  void finish(Query& query);

  EventLoop& loop_;
  std::map<std::string, Result<ResolvedAddresses>> script_;
  std::set<std::pair<std::string, AddressFamily>> failing_;
  Duration delay_ = 1ms;
  std::size_t questions_ = 0;
  std::vector<std::unique_ptr<Query>> queries_;
};

}  // namespace weir
