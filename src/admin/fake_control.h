#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "admin/control_view.h"

namespace weir::admin {

// A control plane with one cluster "app" and one backend "b1", for tests. Answers at once, or keeps the answers back
// until release().
class FakeControl final : public ControlView {
 public:
  ReadyView ready() override { return ready_view; }
  void clusters(Done<std::vector<ClusterView>> done) override {
    answer([done = std::move(done)]() mutable {
      done({{"app", "round_robin", {{"b1", "http://127.0.0.1:8001", 2, BackendState::active, true, "http1", 5, 6}}}});
    });
  }
  std::shared_ptr<const std::string> routes_json() override {
    return std::make_shared<const std::string>(R"([{"name":"route-1","match":{},"cluster":"app"}])");
  }
  ConfigView config() override { return {3, std::make_shared<const std::string>(R"({"workers":2})")}; }
  void reload(Done<Change<std::uint64_t>> done) override {
    ++reloads;
    answer([this, done = std::move(done)]() mutable {
      if (reload_error.empty()) {
        done(std::uint64_t{4});
      } else {
        done(refuse(ChangeError::Kind::invalid, reload_error));
      }
    });
  }
  void render_metrics(std::string accept, Done<MetricsText> done) override {
    last_accept = std::move(accept);
    answer([this, done = std::move(done)]() mutable { done({metrics, "text/plain; version=0.0.4"}); });
  }
  void add_backend(const std::string& cluster, NewBackend backend, Done<Change<BackendView>> done) override {
    if (cluster != "app") return done(refuse(ChangeError::Kind::not_found, "no cluster " + cluster));
    if (backend.name == "b1") return done(refuse(ChangeError::Kind::conflict, "b1 is there already"));
    if (!backend.url.starts_with("http://")) return done(refuse(ChangeError::Kind::invalid, "bad url"));
    log.push_back("add " + backend.name.value_or("-") + " " + backend.url + " " + std::to_string(backend.weight));
    done(BackendView{backend.name.value_or("h:1"), backend.url, backend.weight});
  }
  void patch_backend(const std::string& cluster, const std::string& backend, BackendPatch patch,
                     Done<Change<BackendView>> done) override {
    if (cluster != "app" || backend != "b1") return done(refuse(ChangeError::Kind::not_found, "no backend " + backend));
    log.push_back("patch " + backend);
    done(BackendView{backend, "http://127.0.0.1:8001", patch.weight.value_or(2),
                     patch.state.value_or(BackendState::active)});
  }
  void remove_backend(const std::string& cluster, const std::string& backend, Done<Change<void>> done) override {
    if (cluster != "app" || backend != "b1") return done(refuse(ChangeError::Kind::not_found, "no backend " + backend));
    if (draining) return done(refuse(ChangeError::Kind::unavailable, "draining"));
    log.push_back("remove " + backend);
    done({});
  }

  // Calls every answer that was kept back.
  void release() {
    for (auto& kept : std::exchange(kept_, {})) kept();
  }
  std::size_t kept() const { return kept_.size(); }
  // As a control plane that stops does.
  void forget() { kept_.clear(); }

  ReadyView ready_view{true, ""};
  bool keep_back = false;
  bool draining = false;
  int reloads = 0;
  std::string reload_error;
  std::string metrics = "# EOF\n";
  std::string last_accept;
  std::vector<std::string> log;

 private:
  static std::unexpected<ChangeError> refuse(ChangeError::Kind kind, std::string message) {
    return std::unexpected(ChangeError{kind, std::move(message)});
  }
  void answer(std::move_only_function<void()> call) {
    if (keep_back) {
      kept_.push_back(std::move(call));
    } else {
      call();
    }
  }

  std::vector<std::move_only_function<void()>> kept_;
};

}  // namespace weir::admin
