#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/control_view.h"
#include "config/spec.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "observe/logger.h"
#include "server/backend_series.h"
#include "server/name_lookup.h"
#include "upstream/cluster.h"
#include "upstream/detection/protocol_detection.h"
#include "upstream/health/health_check.h"

namespace weir::server {

class BackendEntry;

// How a cluster's backends are spoken to.
struct Speech {
  UpstreamProtocol protocol = UpstreamProtocol::auto_;
  std::optional<ProxyVersion> proxy_protocol;
  std::shared_ptr<const tls::ClientContext> tls;  // to backends over TLS; null if there are none

  bool operator==(const Speech&) const = default;
};

// One address of a configured backend, with its health and what it was found to speak.
class BackendAddress final : private health::HealthListener, private detection::DetectionListener {
 public:
  BackendAddress(BackendEntry& entry, std::shared_ptr<Backend> backend);
  BackendAddress(const BackendAddress&) = delete;
  BackendAddress& operator=(const BackendAddress&) = delete;
  ~BackendAddress();

  BackendEntry& entry() const { return entry_; }
  const std::shared_ptr<Backend>& backend() const { return backend_; }
  // The address stays, its name changes: a new Backend object, since the name is its identity. Health stays.
  void rename(const std::string& name);

  bool healthy() const { return !check_ || check_->healthy(); }
  bool answered() const { return !check_ || check_->answered_once(); }
  bool usable() const { return healthy() && state == admin::BackendState::active; }
  Member member() const { return {backend_, weight, usable(), !healthy()}; }

  // Null ends checking: it counts as healthy then.
  void check_with(std::shared_ptr<const health::HealthCheckSettings> settings, Duration spread);
  void refused();
  // Said in the log, but not again and again.
  void tls_failed(const std::string& reason);
  void http2_broken(const std::string& reason);
  // As configured: what is to be found out is found out within `spread`, if it has not been yet in this way.
  void speak(const Speech& speech, Duration spread);
  void protocol_wanted();
  // As it is shown.
  std::string_view protocol() const;

  std::uint32_t weight = 1;
  admin::BackendState state = admin::BackendState::active;

 private:
  void on_health_changed(health::HealthCheck& check, bool healthy, std::string_view reason) override;
  void on_answered_once(health::HealthCheck& check) override;
  void on_protocol_shown(health::HealthCheck& check, SpokenProtocol shown) override;
  void on_detected(detection::ProtocolDetection& detection, const detection::ProbeResult& result,
                   bool changed) override;

  BackendEntry& entry_;
  std::shared_ptr<Backend> backend_;
  std::unique_ptr<BackendSeries> series_;
  std::unique_ptr<health::HealthCheck> check_;
  std::unique_ptr<detection::ProtocolDetection> detection_;  // null if there is nothing to find out
  Speech speech_;
  std::string tls_problem_;  // told last
  TimePoint tls_told_{};
  std::optional<TimePoint> http2_told_;
};

// Hears of changes. None of these may destroy the entry.
class EntryOwner {
 public:
  virtual void on_entry_members(BackendEntry& entry) = 0;  // addresses came or went
  virtual void on_entry_health(BackendEntry& entry, BackendAddress& address) = 0;
  virtual void on_entry_answered(BackendEntry& entry) = 0;  // a first look-up or a first check
  virtual void on_address_gone(BackendAddress& address) = 0;

 protected:
  ~EntryOwner() = default;
};

// A backend as the configuration or the admin API named it: one address, or those that its host name has just now.
class BackendEntry final : private NameListener {
 public:
  struct Environment {
    EventLoop& loop;
    Resolver& resolver;
    observe::Logger& logger;
    BackendSeriesTable& series;
    EntryOwner& owner;
    std::string cluster;
  };

  BackendEntry(const Environment& environment, const config::BackendSpec& spec, const config::DnsSpec& dns);
  BackendEntry(const BackendEntry&) = delete;
  BackendEntry& operator=(const BackendEntry&) = delete;
  ~BackendEntry();

  const Environment& environment() const { return environment_; }
  const config::BackendSpec& spec() const { return spec_; }
  const std::string& url() const { return url_; }
  const std::vector<std::unique_ptr<BackendAddress>>& addresses() const { return addresses_; }
  // True once its name has been looked up, whatever came of it.
  bool looked_up() const { return !lookup_ || lookup_->answered(); }

  // What a reload may change of a backend that stays; also undoes what the admin API changed. True if a member changed.
  bool update(const config::BackendSpec& spec, const config::DnsSpec& dns);
  void patch(const admin::BackendPatch& patch);
  // New addresses are checked with the same settings.
  void check_with(const std::shared_ptr<const health::HealthCheckSettings>& settings, Duration spread);

  // The same for what they speak.
  void speak(const Speech& speech, Duration spread);

  // Of one address, or of the backend as a whole (null).
  admin::BackendView view(const BackendAddress* address) const;
  std::size_t healthy_count() const;
  std::size_t total_count() const { return addresses_.empty() ? 1 : addresses_.size(); }

 private:
  void on_addresses(const std::vector<IpAddress>& found) override;
  void on_lookup_answered() override;
  void on_lookup_failed(std::string_view reason) override;

  std::string name_of(const SocketAddress& address, std::size_t count) const;
  std::string protocol(const BackendAddress* address) const;
  std::unique_ptr<BackendAddress> make_address(const SocketAddress& address, std::size_t count);
  void set_addresses(const std::vector<SocketAddress>& wanted);
  std::uint32_t connection_limit() const;

  Environment environment_;
  config::BackendSpec spec_;
  std::string url_;
  std::uint32_t weight_;
  admin::BackendState state_ = admin::BackendState::active;
  std::shared_ptr<const health::HealthCheckSettings> check_settings_;
  Speech speech_;
  std::vector<std::unique_ptr<BackendAddress>> addresses_;
  std::unique_ptr<BackendSeries> unresolved_;  // stands for the backend while it has no address
  std::unique_ptr<NameLookup> lookup_;         // of host names only
};

}  // namespace weir::server
