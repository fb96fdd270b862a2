#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.h"
#include "net/event_loop.h"
#include "net/resolver.h"

namespace weir::server {

class NameListener {
 public:
  // The name has these addresses now (at least one, in ascending order), and had others before.
  virtual void on_addresses(const std::vector<IpAddress>& found) = 0;
  // The first look-up has ended, whatever came of it. Once, after on_addresses().
  virtual void on_lookup_answered() = 0;
  // Look-ups fail from now on; what was found before stays. Once, until one succeeds again.
  virtual void on_lookup_failed(std::string_view reason) = 0;

 protected:
  ~NameListener() = default;
};

// Looks a backend's host name up, at once and then every `refresh`. A failed or empty answer changes nothing,
// and so does one that fails for one family of addresses.
// Destroying it cancels what is under way. Control thread.
class NameLookup final : private TimerHandler, private ResolveHandler {
 public:
  // All outlive it. `name` is in lower case.
  NameLookup(EventLoop& loop, Resolver& resolver, std::string name, const config::DnsSpec& settings,
             NameListener& listener);
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;
  ~NameLookup();

  // With another family the name is looked up again at once.
  void update(const config::DnsSpec& settings);
  bool answered() const { return answered_; }

 private:
  void on_timer(Timer& timer) override;
  void on_resolved(Resolution& resolution, Result<ResolvedAddresses> result) override;
  std::optional<AddressFamily> missing() const;
  void found();
  void rest();

  EventLoop& loop_;
  Resolver& resolver_;
  const std::string name_;
  config::DnsSpec settings_;
  NameListener& listener_;
  Timer timer_;
  Resolution resolution_;
  std::vector<IpAddress> addresses_;
  std::vector<IpAddress> found_;  // by the look-up under way
  bool answered_ = false;
  bool failing_ = false;
  bool again_ = false;       // the family changed during a look-up
  bool confirming_ = false;  // one family is asked for alone, see missing()
};

}  // namespace weir::server
