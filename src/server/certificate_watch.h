#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/compile.h"
#include "config/environment.h"
#include "config/load.h"
#include "net/event_loop.h"
#include "observe/logger.h"
#include "observe/metric_store.h"
#include "server/executor.h"

namespace weir::server {

// Certificates in the course of time: says loudly which have expired, shows when they will, looks every few seconds
// whether their files have changed, and changes the keys of session tickets. On the control loop.
class CertificateWatch final : private TimerHandler {
 public:
  using SpecPtr = std::shared_ptr<const config::Spec>;

  static constexpr Duration kLookEvery = 5s;

  struct Environment {
    EventLoop& loop;
    Executor& executor;
    observe::MetricStore& metrics;
    observe::Logger& logger;
    config::FileReader read_file;  // called on the executor; empty: files are not looked at
    // Files of `looked_at` have changed and are in order: `next` is the same with what is in them now.
    std::function<void(SpecPtr looked_at, SpecPtr next)> on_changed;
  };

  explicit CertificateWatch(Environment environment);
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;
  ~CertificateWatch() = default;

  // The configuration that is in force from now on.
  void apply(std::shared_ptr<const config::Compiled> compiled);

 private:
  void on_timer(Timer& timer) override;
  void look();
  void looked(const SpecPtr& at, config::FilesOfNow result);
  template <typename Use>
  void for_each_shown(Use&& use) const;
  // Tells of each once: of those that are not valid as they come into force, and of those that expire later.
  void warn_of_invalid();
  void show_ends();

  Environment environment_;
  Timer look_timer_;
  Timer rotation_timer_;
  std::shared_ptr<const config::Compiled> compiled_;
  std::optional<WallTime> judged_at_;  // those in use, last
  std::vector<observe::GaugeRef> expiry_;
  std::string last_problem_;
  bool told_ = false;  // of it
  bool looking_ = false;
};

}  // namespace weir::server
