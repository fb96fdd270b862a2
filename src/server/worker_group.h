#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "proxy/worker.h"

namespace weir::server {

// A worker with the loop whose thread it lives in. Neither is owned.
struct WorkerHandle {
  EventLoop* loop = nullptr;
  proxy::Worker* worker = nullptr;
};

// The control thread's way to the workers: by mail, in order. The loops outlive the group. Control thread.
class WorkerGroup {
 public:
  explicit WorkerGroup(EventLoop& control) : control_(control) {}

  void set_workers(std::vector<WorkerHandle> workers) { workers_ = std::move(workers); }
  std::size_t size() const { return workers_.size(); }

  // Calls do_it(proxy::Worker&) in the thread of worker `index`.
  template <std::invocable<proxy::Worker&> Do>
  void tell(std::size_t index, Do do_it) {
    const WorkerHandle& handle = workers_[index];
    handle.loop->post([worker = handle.worker, do_it = std::move(do_it)]() mutable { do_it(*worker); });
  }

  // The same in each worker's thread, each with a copy.
  template <typename Do>
    requires std::invocable<Do&, proxy::Worker&> && std::copy_constructible<Do>
  void tell_all(const Do& do_it) {
    for (std::size_t i = 0; i < workers_.size(); ++i) tell(i, do_it);
  }

  // Calls question(proxy::Worker&) -> Answer in the thread of each worker but `except`, and done(std::vector<Answer>)
  // on the control loop when all have answered, in the order of the workers. With nobody to ask, done() is called
  // before this returns.
  template <typename Question, typename Done>
  void ask_all(const Question& question, Done done, std::optional<std::size_t> except = std::nullopt) {
    using Answer = std::invoke_result_t<const Question&, proxy::Worker&>;
    struct Answers {
      std::vector<std::optional<Answer>> each;
      std::size_t missing;
      Done done;
    };
    const std::size_t asked = workers_.size() - (except ? 1 : 0);
    auto answers = std::make_shared<Answers>(Answers{{}, asked, std::move(done)});
    answers->each.resize(asked);
    if (asked == 0) return answers->done({});
    std::size_t slot = 0;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (except && *except == i) continue;
      // Counted references are moved along, never shared by both threads at once with the answers themselves: only the
      // control loop touches those.
      tell(i, [this, question, answers, slot](proxy::Worker& worker) mutable {
        control_.post([answers = std::move(answers), slot, answer = question(worker)]() mutable {
          answers->each[slot] = std::move(answer);
          if (--answers->missing > 0) return;
          std::vector<Answer> all;
          all.reserve(answers->each.size());
          for (auto& one : answers->each) all.push_back(std::move(*one));
          answers->done(std::move(all));
        });
      });
      ++slot;
    }
  }

 private:
  EventLoop& control_;
  std::vector<WorkerHandle> workers_;
};

// What the control thread does with what a worker reports.
class WorkerReports {
 public:
  virtual void on_connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) = 0;
  virtual void on_tls_failed(const std::shared_ptr<Backend>& backend, const std::string& reason) = 0;
  virtual void on_http2_broken(const std::shared_ptr<Backend>& backend, const std::string& reason) = 0;
  virtual void on_reclaim_wanted(std::size_t worker, const std::string& cluster,
                                 const std::shared_ptr<Backend>& backend) = 0;
  virtual void on_protocol_wanted(const std::shared_ptr<Backend>& backend) = 0;

 protected:
  ~WorkerReports() = default;
};

// One worker's UpstreamEvents: passes them on to the control loop by mail. Called in the worker's thread.
class MailedEvents final : public UpstreamEvents {
 public:
  // `control` and `reports` outlive the worker.
  MailedEvents(std::size_t worker, EventLoop& control, WorkerReports& reports)
      : worker_(worker), control_(control), reports_(reports) {}

  void connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) override;
  void tls_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                  const std::string& reason) override;
  void http2_broken(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                    const std::string& reason) override;
  void reclaim_idle(const std::string& cluster, const std::shared_ptr<Backend>& backend) override;
  void protocol_wanted(const std::string& cluster, const std::shared_ptr<Backend>& backend) override;

 private:
  const std::size_t worker_;
  EventLoop& control_;
  WorkerReports& reports_;
};

}  // namespace weir::server
