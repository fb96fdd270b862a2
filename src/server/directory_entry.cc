#include "server/directory_entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/compile.h"

namespace weir::server {

namespace {

constexpr Duration kTellAgain = 1min;

}  // namespace

BackendAddress::BackendAddress(BackendEntry& entry, std::shared_ptr<Backend> backend)
    : entry_(entry), backend_(std::move(backend)) {
  const auto& around = entry_.environment();
  series_ = std::make_unique<BackendSeries>(around.series, around.cluster, backend_->name(), true);
}

BackendAddress::~BackendAddress() {
  entry_.environment().owner.on_address_gone(*this);
}

void BackendAddress::rename(const std::string& name) {
  if (name == backend_->name()) return;
  const auto& around = entry_.environment();
  around.owner.on_address_gone(*this);
  backend_ = std::make_shared<Backend>(name, *backend_);
  if (detection_) detection_->rename(backend_);
  if (check_) check_->rename(backend_);
  series_ = std::make_unique<BackendSeries>(around.series, around.cluster, name, healthy());
}

void BackendAddress::check_with(std::shared_ptr<const health::HealthCheckSettings> settings, Duration spread) {
  if (!settings) {
    check_.reset();
    series_->set_healthy(true);
  } else if (!check_) {
    const config::Endpoint& endpoint = entry_.spec().address;
    std::string own_host =
        endpoint.kind == config::Endpoint::Kind::kUnix ? std::string("localhost") : config::to_string(endpoint);
    health::HealthListener& listener = *this;
    check_ = std::make_unique<health::HealthCheck>(entry_.environment().loop, std::move(settings), backend_,
                                                   std::move(own_host), listener);
    check_->start(spread);
  } else if (check_->settings() != *settings) {
    check_->update_settings(std::move(settings));
  }
}

void BackendAddress::refused() {
  if (check_) check_->refused();
}

void BackendAddress::tls_failed(const std::string& reason) {
  const auto& around = entry_.environment();
  const TimePoint now = around.loop.now();
  if (reason == tls_problem_ && now - tls_told_ < kTellAgain) return;
  tls_problem_ = reason;
  tls_told_ = now;
  around.logger.warn(around.loop.wall_now(), "TLS handshake with a backend failed",
                     {{"cluster", around.cluster}, {"backend", backend_->name()}, {"reason", reason}});
}

// Whatever it is: who breaks the rules can do so in many ways.
void BackendAddress::http2_broken(const std::string& reason) {
  const auto& around = entry_.environment();
  const TimePoint now = around.loop.now();
  if (http2_told_ && now - *http2_told_ < kTellAgain) return;
  http2_told_ = now;
  around.logger.warn(around.loop.wall_now(), "an HTTP/2 connection to a backend was ended for what it did",
                     {{"cluster", around.cluster}, {"backend", backend_->name()}, {"reason", reason}});
}

void BackendAddress::speak(const Speech& speech, Duration spread) {
  const bool changed = std::exchange(speech_, speech) != speech;
  if (speech.protocol != UpstreamProtocol::auto_) return detection_.reset();
  if (detection_ && !changed) return;
  Approach approach{.address = backend_->address(), .proxy_protocol = speech.proxy_protocol};
  if (backend_->secure()) {
    approach.tls = speech.tls;
    approach.tls_host = backend_->host();
  }
  detection::DetectionListener& listener = *this;
  detection_ = std::make_unique<detection::ProtocolDetection>(entry_.environment().loop, backend_, std::move(approach),
                                                              listener);
  detection_->appeared(spread);
}

void BackendAddress::protocol_wanted() {
  if (detection_) return detection_->met();
  // A reload has said since what it speaks. Another may leave it open again.
  backend_->heard_want();
}

std::string_view BackendAddress::protocol() const {
  switch (speech_.protocol) {
    case UpstreamProtocol::auto_:
      return to_string(backend_->protocol());
    case UpstreamProtocol::http1:
      return to_string(SpokenProtocol::http1);
    case UpstreamProtocol::http2:
      return to_string(SpokenProtocol::http2);
  }
  return {};
}

void BackendAddress::on_detected(detection::ProtocolDetection&, const detection::ProbeResult& result, bool changed) {
  if (!result.tls_failure.empty()) tls_failed(result.tls_failure);
  const auto& around = entry_.environment();
  around.logger.log(around.loop.wall_now(), changed ? observe::LogLevel::kInfo : observe::LogLevel::kDebug,
                    "protocol of a backend was looked for",
                    {{"cluster", around.cluster},
                     {"backend", backend_->name()},
                     {"protocol", protocol()},
                     {"reason", detection::to_string(result.verdict)}});
  if (changed && check_) check_->protocol_found();
}

void BackendAddress::on_health_changed(health::HealthCheck&, bool healthy, std::string_view reason) {
  const auto& around = entry_.environment();
  series_->set_healthy(healthy);
  around.logger.log(around.loop.wall_now(), healthy ? observe::LogLevel::kInfo : observe::LogLevel::kWarn,
                    healthy ? "backend is healthy" : "backend is unhealthy",
                    {{"cluster", around.cluster}, {"backend", backend_->name()}, {"reason", reason}});
  // It may be another program that has come up there.
  if (healthy && detection_) detection_->appeared();
  around.owner.on_entry_health(entry_, *this);
}

void BackendAddress::on_answered_once(health::HealthCheck&) {
  entry_.environment().owner.on_entry_answered(entry_);
}

// As if a worker had met it.
void BackendAddress::on_protocol_shown(health::HealthCheck&, SpokenProtocol shown) {
  if (shown == SpokenProtocol::unknown) {
    backend_->forget_protocol();
  } else {
    backend_->set_protocol(shown);
  }
  protocol_wanted();
}

BackendEntry::BackendEntry(const Environment& environment, const config::BackendSpec& spec, const config::DnsSpec& dns)
    : environment_(environment), spec_(spec), url_(config::url_of(spec)), weight_(spec.weight) {
  if (const auto address = config::to_socket_address(spec_.address)) {
    addresses_.push_back(make_address(*address, 1));
    return;
  }
  unresolved_ = std::make_unique<BackendSeries>(environment_.series, environment_.cluster, spec_.name, false);
  NameListener& listener = *this;
  lookup_ = std::make_unique<NameLookup>(environment_.loop, environment_.resolver, spec_.address.host, dns, listener);
}

BackendEntry::~BackendEntry() = default;

bool BackendEntry::update(const config::BackendSpec& spec, const config::DnsSpec& dns) {
  bool changed = false;
  spec_ = spec;
  weight_ = spec.weight;
  state_ = admin::BackendState::active;
  for (auto& address : addresses_) {
    changed |= address->weight != weight_ || address->state != state_;
    address->weight = weight_;
    address->state = state_;
    address->backend()->set_max_connections(connection_limit());
  }
  if (lookup_) lookup_->update(dns);
  return changed;
}

void BackendEntry::patch(const admin::BackendPatch& patch) {
  weight_ = patch.weight.value_or(weight_);
  state_ = patch.state.value_or(state_);
  for (auto& address : addresses_) {
    address->weight = patch.weight.value_or(address->weight);
    address->state = patch.state.value_or(address->state);
  }
}

void BackendEntry::check_with(const std::shared_ptr<const health::HealthCheckSettings>& settings, Duration spread) {
  check_settings_ = settings;
  for (auto& address : addresses_) address->check_with(settings, spread);
}

void BackendEntry::speak(const Speech& speech, Duration spread) {
  speech_ = speech;
  for (auto& address : addresses_) address->speak(speech, spread);
}

// Of a name with several addresses only what all of them speak.
std::string BackendEntry::protocol(const BackendAddress* address) const {
  if (address != nullptr) return std::string(address->protocol());
  if (addresses_.empty()) return std::string(to_string(SpokenProtocol::unknown));
  const std::string_view first = addresses_.front()->protocol();
  const bool all = std::ranges::all_of(addresses_, [&](const auto& one) { return one->protocol() == first; });
  return std::string(all ? first : to_string(SpokenProtocol::unknown));
}

admin::BackendView BackendEntry::view(const BackendAddress* address) const {
  admin::BackendView view;
  view.url = url_;
  view.protocol = protocol(address);
  if (address != nullptr) {
    view.name = address->backend()->name();
    view.weight = address->weight;
    view.state = address->state;
    view.healthy = address->healthy();
  } else {
    view.name = spec_.name;
    view.weight = weight_;
    view.state = state_;
    view.healthy = healthy_count() > 0;
    for (const auto& one : addresses_) view.addresses.push_back(one->backend()->name());
  }
  return view;
}

std::size_t BackendEntry::healthy_count() const {
  return static_cast<std::size_t>(
      std::count_if(addresses_.begin(), addresses_.end(), [](const auto& address) { return address->healthy(); }));
}

std::uint32_t BackendEntry::connection_limit() const {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(spec_.max_connections, Backend::kNoLimit));
}

std::string BackendEntry::name_of(const SocketAddress& address, std::size_t count) const {
  return count == 1 ? spec_.name : fmt::format("{}@{}", spec_.name, address.ip.to_string());
}

std::unique_ptr<BackendAddress> BackendEntry::make_address(const SocketAddress& address, std::size_t count) {
  auto made = std::make_unique<BackendAddress>(
      *this, std::make_shared<Backend>(name_of(address, count), url_, address, connection_limit()));
  made->weight = weight_;
  made->state = state_;
  return made;
}

void BackendEntry::on_addresses(const std::vector<IpAddress>& found) {
  std::vector<SocketAddress> wanted;
  std::string list;
  for (const IpAddress& ip : found) {
    wanted.push_back({.ip = ip, .port = spec_.address.port, .path = {}});
    if (!list.empty()) list += ' ';
    list += ip.to_string();
  }
  environment_.logger.info(environment_.loop.wall_now(), "name has new addresses",
                           {{"cluster", environment_.cluster},
                            {"backend", spec_.name},
                            {"name", spec_.address.host},
                            {"addresses", list},
                            {"reason", "look-up"}});
  set_addresses(wanted);
  environment_.owner.on_entry_members(*this);
}

void BackendEntry::set_addresses(const std::vector<SocketAddress>& wanted) {
  std::vector<std::unique_ptr<BackendAddress>> next;
  for (const SocketAddress& address : wanted) {
    const auto old = std::find_if(addresses_.begin(), addresses_.end(),
                                  [&](const auto& one) { return one && one->backend()->address() == address; });
    if (old != addresses_.end()) {
      next.push_back(std::move(*old));
      next.back()->rename(name_of(address, wanted.size()));
    } else {
      next.push_back(make_address(address, wanted.size()));
      next.back()->check_with(check_settings_, Duration::zero());
      next.back()->speak(speech_, Duration::zero());
    }
  }
  std::erase(addresses_, nullptr);
  addresses_.swap(next);
  next.clear();
  unresolved_.reset();
}

void BackendEntry::on_lookup_answered() {
  environment_.owner.on_entry_answered(*this);
}

void BackendEntry::on_lookup_failed(std::string_view reason) {
  environment_.logger.warn(
      environment_.loop.wall_now(),
      addresses_.empty() ? "name has no address yet" : "look-up failed, the last addresses stay",
      {{"cluster", environment_.cluster}, {"backend", spec_.name}, {"name", spec_.address.host}, {"reason", reason}});
}

}  // namespace weir::server
