#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "admin/control_view.h"
#include "config/compile.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "observe/logger.h"
#include "server/backend_series.h"
#include "server/directory_entry.h"

namespace weir::server {

// Hears of what the workers have to be told.
class DirectoryObserver {
 public:
  // Somebody came, went, or much has changed.
  virtual void on_members_changed(const std::string& cluster, std::shared_ptr<const Membership> members) = 0;
  // One member's weight or usability changed.
  virtual void on_member_changed(const std::string& cluster, const Member& member) = 0;
  // Each first look-up and first health check has answered or timed out. Once.
  virtual void on_checked_once() = 0;

 protected:
  ~DirectoryObserver() = default;
};

// Who is in the clusters: configuration, name look-ups, health checks and admin changes together. Changes of one turn
// are gathered and told at its end. Control thread.
class ClusterDirectory final : private EntryOwner, private TimerHandler {
 public:
  // All of these outlive the directory.
  struct Environment {
    EventLoop& loop;
    Resolver& resolver;
    observe::MetricStore& metrics;
    observe::Logger& logger;
    DirectoryObserver& observer;
  };

  explicit ClusterDirectory(const Environment& environment);
  ~ClusterDirectory();

  // Brings a configuration into force. Whatever it has in common with the one before stays: Backend objects, health,
  // addresses of names. Changes made by the admin API are forgotten. Nothing of it is told to the observer:
  // memberships() has it.
  void apply(const config::Compiled& compiled);
  // The same configuration, with files read anew: certificates, keys, who is trusted. Changes made by the admin API
  // stay.
  void renew(const config::Compiled& compiled);

  // In the order of the configuration.
  std::vector<proxy::ClusterSnapshot> memberships(const config::Compiled& compiled) const;
  bool checked_once() const { return checked_once_; }

  // Traffic had a connection refused: counts at once where there is a health check.
  void refused(const std::shared_ptr<Backend>& backend);
  // A worker could not secure a connection to it.
  void tls_failed(const std::shared_ptr<Backend>& backend, const std::string& reason);
  void http2_broken(const std::shared_ptr<Backend>& backend, const std::string& reason);
  // A worker has to know what it speaks, or found that it speaks something else.
  void protocol_wanted(const std::shared_ptr<Backend>& backend);

  // Without the workers' figures. In the order of the configuration.
  std::vector<admin::ClusterView> views() const;
  admin::Change<admin::BackendView> add_backend(const std::string& cluster, const admin::NewBackend& wanted);
  // `backend` is a configured name, which stands for all of its addresses, or the name of one address.
  admin::Change<admin::BackendView> patch_backend(const std::string& cluster, const std::string& backend,
                                                  const admin::BackendPatch& patch);
  admin::Change<void> remove_backend(const std::string& cluster, const std::string& backend);
  // Tells the observer what has changed since it was told last, instead of in the next turn. Not from a callback of a
  // health check or a look-up.
  void publish_now();

 private:
  struct Cluster {
    std::string name;
    config::Balance balance{};
    config::DnsSpec dns;
    std::shared_ptr<const health::HealthCheckSettings> health_check;
    Speech speech;
    std::vector<std::unique_ptr<BackendEntry>> backends;
    std::unique_ptr<ClusterSeries> series;
    bool members_dirty = false;
    std::unordered_set<const BackendAddress*> changed;
  };

  // EntryOwner
  void on_entry_members(BackendEntry& entry) override;
  void on_entry_health(BackendEntry& entry, BackendAddress& address) override;
  void on_entry_answered(BackendEntry& entry) override;
  void on_address_gone(BackendAddress& address) override;

  void on_timer(Timer& timer) override;

  std::unique_ptr<BackendEntry> make_entry(Cluster& cluster, const config::BackendSpec& spec);
  void update_backends(Cluster& cluster, const config::ClusterSpec& spec);
  static void take_settings(Cluster& cluster, const config::CompiledCluster& compiled);
  void start_checks(Cluster& cluster);
  void start_detections(Cluster& cluster);
  Cluster* find_cluster(const std::string& name);
  static BackendEntry* find_entry(const Cluster& cluster, const std::string& name);
  static bool name_taken(const Cluster& cluster, const std::string& name);
  std::shared_ptr<const Membership> membership(const Cluster& cluster) const;
  void index(Cluster& cluster);
  void changed();
  void publish();
  void check_answered();

  Environment environment_;
  BackendSeriesTable series_;
  std::vector<std::unique_ptr<Cluster>> clusters_;
  std::unordered_map<std::string, Cluster*> by_name_;
  std::unordered_map<const Backend*, BackendAddress*> by_backend_;
  Timer publish_timer_;
  bool applying_ = false;
  bool checked_once_ = false;
};

}  // namespace weir::server
