#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::admin {

enum class BackendState : std::uint8_t { active, draining, disabled };
std::string_view to_string(BackendState state);
std::optional<BackendState> parse_backend_state(std::string_view text);

struct BackendView {
  std::string name;
  std::string url;
  std::uint32_t weight = 1;
  BackendState state = BackendState::active;
  bool healthy = true;
  std::string protocol = "unknown";      // "http1", "http2"
  std::uint64_t active_connections = 0;  // over all workers
  std::uint64_t requests_total = 0;      // over all workers
  std::vector<std::string>
      addresses{};  // of a name, if it stands for all of them: whose figures are its own; not shown
};

struct ClusterView {
  std::string name;
  std::string balance;  // as the configuration spells it: "round_robin"
  std::vector<BackendView> backends;
};

// What POST of a backend asks for.
struct NewBackend {
  std::optional<std::string> name;  // host:port of the url if absent
  std::string url;                  // not checked yet
  std::uint32_t weight = 1;
  std::optional<std::uint32_t> max_connections;  // at least 1; no limit if absent
};

// What PATCH changes; what is absent stays. At least one is there.
struct BackendPatch {
  std::optional<std::uint32_t> weight;
  std::optional<BackendState> state;
};

// Why a change was refused; becomes the status of the answer.
struct ChangeError {
  enum class Kind : std::uint8_t {
    not_found,    // 404: no such cluster or backend
    conflict,     // 409: the name is taken, a reload is under way, Weir is draining
    invalid,      // 422: a value makes no sense
    unavailable,  // 503: can't be done just now
  };
  Kind kind = Kind::invalid;
  std::string message;  // for a person, becomes {"error": message}
};
template <typename T>
using Change = std::expected<T, ChangeError>;

struct ReadyView {
  bool ready = false;
  std::string reason;  // why not: "starting", "waiting for the first health checks", "draining"
};

struct ConfigView {
  std::uint64_t generation = 0;
  // The value of "config" in /api/v1/config: the configuration in force as JSON, with ${NAME} unexpanded. Never null.
  std::shared_ptr<const std::string> json;
};

struct MetricsText {
  std::string body;
  std::string content_type;
};

// What the admin server sees of the control plane, and how it changes it. Implemented by the control plane, which
// outlives the server. Every call is made on the control loop, and every `done` is called on it exactly once or
// destroyed without a call at shutdown; it may be called before the function that took it returns. What an asker does
// not wait for any more is ignored by the asker: `done` stays callable.
class ControlView {
 public:
  template <typename T>
  using Done = std::move_only_function<void(T)>;

  virtual ReadyView ready() = 0;

  // In the order of the configuration. Asynchronous, since the workers' figures come by mail.
  virtual void clusters(Done<std::vector<ClusterView>> done) = 0;

  // The value of "routes" in /api/v1/routes: a JSON array of objects {"name","match":{...},"cluster"...}, in order. Not
  // null.
  virtual std::shared_ptr<const std::string> routes_json() = 0;
  virtual ConfigView config() = 0;

  // Reads the configuration file again. The new generation, or `invalid` with what `weir check` says of it.
  virtual void reload(Done<Change<std::uint64_t>> done) = 0;

  // Renders all metrics on the helper thread, in the format that the Accept field value asks for ("" if there was
  // none).
  virtual void render_metrics(std::string accept, Done<MetricsText> done) = 0;

  // Changes of the running configuration that last until the next reload. The result is the backend as it is
  // afterwards.
  virtual void add_backend(const std::string& cluster, NewBackend backend, Done<Change<BackendView>> done) = 0;
  virtual void patch_backend(const std::string& cluster, const std::string& backend, BackendPatch patch,
                             Done<Change<BackendView>> done) = 0;
  // The backend takes nothing new from now on and goes when its running requests are finished.
  virtual void remove_backend(const std::string& cluster, const std::string& backend, Done<Change<void>> done) = 0;

 protected:
  ~ControlView() = default;
};

}  // namespace weir::admin
