#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/admin_server.h"
#include "admin/control_view.h"
#include "config/compile.h"
#include "config/load.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "observe/access_log.h"
#include "observe/logger.h"
#include "observe/metric_store.h"
#include "observe/process_metrics.h"
#include "server/access_log_set.h"
#include "server/certificate_watch.h"
#include "server/directory.h"
#include "server/executor.h"
#include "server/lifecycle.h"
#include "server/listener_set.h"
#include "server/service_manager.h"
#include "server/worker_group.h"

namespace weir::server {

// A spec, or all that is wrong with the configuration as `weir check` prints it.
using LoadedSpec = std::expected<config::Spec, std::string>;

struct BuildInfo {
  std::string version, commit, compiler;
};

// What the control plane needs from around it: real, or simulated as a whole. What is pointed to outlives it.
struct ControlEnvironment {
  EventLoop* loop = nullptr;
  Executor* executor = nullptr;
  Resolver* resolver = nullptr;
  observe::MetricStore* metrics = nullptr;  // the control thread's own
  observe::Logger* logger = nullptr;
  observe::AccessLogs* access_logs = nullptr;
  ServiceManager* service = nullptr;
  // What /metrics shows: its own, the workers', the log writer's. The stores outlive the executor.
  std::function<std::vector<const observe::MetricStore*>()> all_metrics;
  std::size_t workers = 1;
  // Reads the configuration again. Called on the executor.
  std::function<LoadedSpec()> load;
  // Reads the files that the configuration names, to see whether they have changed. Called on the executor; may be
  // empty: they are not looked at.
  config::FileReader read_file;
  ListenerSet::TakeInherited take_inherited;  // may be empty
  // Called on the executor; may be empty: no process_* metrics.
  std::function<std::optional<observe::ProcessMetrics>()> process_metrics;
  // The log's settings change with a reload. An error refuses it, and the log stays as it was. May be empty.
  std::function<Result<void>(const config::LogSpec&)> configure_log;
  // A reload took effect and what it replaced has been let go. May be empty.
  std::function<void()> on_reloaded;
  // No worker does anything any more; nothing is posted to them from now on.
  std::function<void()> on_stopped;
  BuildInfo build;
};

// The brain of the control thread: brings configurations into force, knows the clusters, serves the admin port, and
// ends the process. Without threads of its own, so that all of it runs in simulation. Everything is called on the
// control loop.
class ControlPlane final : private admin::ControlView, private DirectoryObserver, private WorkerReports {
 public:
  explicit ControlPlane(ControlEnvironment environment);
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;
  // The workers must be gone or never run again.
  ~ControlPlane();

  // For WorkerEnvironment::upstream_events of worker `index`; its calls belong to that worker's thread.
  UpstreamEvents& events(std::size_t index) { return *events_[index]; }

  // Binds the listeners and the admin port and tells the workers. Once. On an error nothing is bound.
  Result<void> start(std::shared_ptr<const config::Compiled> initial, std::vector<WorkerHandle> workers);

  // What the signals ask for.
  void hang_up();      // HUP: reload
  void terminate();    // TERM
  void interrupt();    // INT
  void reopen_logs();  // USR1
  void upgrade();      // USR2

  // Read-only views; also for tests.
  admin::ControlView& view() { return *this; }
  std::uint64_t generation() const { return generation_; }
  Lifecycle::Phase phase() const { return lifecycle_.phase(); }
  const std::vector<ListenerSet::Bound>& listeners() const { return listeners_.bound(); }
  std::optional<SocketAddress> admin_address() const;
  // "web on 127.0.0.1:8080, admin on 127.0.0.1:9090, 2 workers".
  std::string summary() const;

 private:
  using CompiledPtr = std::shared_ptr<const config::Compiled>;
  using ReloadDone = Done<admin::Change<std::uint64_t>>;

  // admin::ControlView
  admin::ReadyView ready() override;
  void clusters(Done<std::vector<admin::ClusterView>> done) override;
  std::shared_ptr<const std::string> routes_json() override;
  admin::ConfigView config() override;
  void reload(ReloadDone done) override;
  void render_metrics(std::string accept, Done<admin::MetricsText> done) override;
  void add_backend(const std::string& cluster, admin::NewBackend backend,
                   Done<admin::Change<admin::BackendView>> done) override;
  void patch_backend(const std::string& cluster, const std::string& backend, admin::BackendPatch patch,
                     Done<admin::Change<admin::BackendView>> done) override;
  void remove_backend(const std::string& cluster, const std::string& backend, Done<admin::Change<void>> done) override;

  // DirectoryObserver
  void on_members_changed(const std::string& cluster, std::shared_ptr<const Membership> members) override;
  void on_member_changed(const std::string& cluster, const Member& member) override;
  void on_checked_once() override;

  // WorkerReports
  void on_connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) override;
  void on_tls_failed(const std::shared_ptr<Backend>& backend, const std::string& reason) override;
  void on_http2_broken(const std::shared_ptr<Backend>& backend, const std::string& reason) override;
  void on_reclaim_wanted(std::size_t worker, const std::string& cluster,
                         const std::shared_ptr<Backend>& backend) override;
  void on_protocol_wanted(const std::shared_ptr<Backend>& backend) override;

  // control_plane_reload.cc
  void begin_reload();
  void loaded(std::expected<CompiledPtr, std::string> result);
  void files_changed(std::shared_ptr<const config::Spec> looked_at, const std::shared_ptr<const config::Spec>& next);
  std::string why_not(const config::Spec& next) const;
  void bring_into_force(CompiledPtr compiled, ListenerSet::Plan& plan, AccessLogList logs, bool by_reload = true);
  void end_reload(admin::Change<std::uint64_t> result);

  bool starting() const { return !current_; }
  std::optional<admin::ChangeError> unchangeable() const;
  template <typename T>
  void answer_in_force(admin::Change<T> result, Done<admin::Change<T>> done);
  void set_build_info();

  ControlEnvironment environment_;
  EventLoop& loop_;
  observe::Logger& logger_;
  WorkerGroup workers_;
  std::vector<std::unique_ptr<MailedEvents>> events_;
  ListenerSet listeners_;
  ClusterDirectory directory_;
  Lifecycle lifecycle_;
  CertificateWatch certificates_;
  std::unique_ptr<admin::AdminServer> admin_;

  CompiledPtr current_;  // null until start()
  std::uint64_t generation_ = 1;
  // Rendered when first asked for; forgotten at the next reload.
  std::shared_ptr<const std::string> config_json_;
  std::shared_ptr<const std::string> routes_json_;
  observe::GaugeRef generation_gauge_;
  observe::GaugeRef reload_success_gauge_;
  observe::GaugeRef build_gauge_;
  bool in_force_ = false;  // the workers have the first configuration

  bool reloading_ = false;
  bool reload_again_ = false;
  std::vector<ReloadDone> reload_waiting_;  // for the reload that runs
  std::vector<ReloadDone> reload_next_;     // for the one after it
};

// The value of "routes" in /api/v1/routes.
std::string routes_to_json(const config::Spec& spec);

}  // namespace weir::server
