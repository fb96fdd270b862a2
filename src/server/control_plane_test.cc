#include "server/control_plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/control_fixture.h"
#include "tls/test_certificates.h"

namespace weir::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using ControlPlaneTest = ControlFixture;

std::string respond(std::string_view address, std::string_view body, std::string_view more = "") {
  return fmt::format(
      "listeners: [{{name: web, address: \"{}\"}}]\nadmin: none\nclusters: []\n"
      "routes: [{{respond: {{status: 200, body: {}}}}}]\n{}",
      address, body, more);
}

std::string proxy(std::string_view backends, std::string_view more = "") {
  return fmt::format(
      "listeners: [{{name: web, address: \"10.0.0.1:80\"}}]\nadmin: none\n"
      "clusters: [{{name: app, backends: [{}], retry: {{attempts: 1}}{}}}]\nroutes: [{{cluster: app}}]\n",
      backends, more);
}

constexpr std::string_view kTwo = R"({name: a, url: "http://10.1.0.1:80"}, {name: b, url: "http://10.1.0.2:80"})";
constexpr std::string_view kChecked = ", health_check: {interval: 1s, timeout: 500ms}";

TEST_F(ControlPlaneTest, ServesAfterTheStartAndSaysWhatListensWhere) {
  ASSERT_TRUE(start(respond("10.0.0.1:0", "one")));
  EXPECT_EQ(ready(), "ready");
  ASSERT_EQ(weir_.control().listeners().size(), 1);
  const SocketAddress address = weir_.control().listeners()[0].actual;
  EXPECT_NE(address.port, 0);
  EXPECT_TRUE(logged(fmt::format("listening: web on {}, 2 workers", address.to_string())));
  EXPECT_THAT(get(address.to_string()), HasSubstr("one"));
  EXPECT_THAT(weir_.told(), ElementsAre("READY=1"));
  EXPECT_THAT(metrics(), HasSubstr("lb_config_generation 1\n"));
}

TEST_F(ControlPlaneTest, AnAddressThatIsTakenIsRefusedAtTheStart) {
  const auto taken = outside_.listen(at("10.0.0.1:80"), {});
  ASSERT_TRUE(taken.has_value());
  const auto started = start(respond("10.0.0.1:80", "one"));
  ASSERT_FALSE(started.has_value());
  EXPECT_THAT(started.error().message, HasSubstr("listener web: cannot listen on 10.0.0.1:80: Address already in use"));
}

TEST_F(ControlPlaneTest, ReloadBringsListenersAndRoutesIntoForce) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  EXPECT_EQ(reload(respond("10.0.0.1:81", "two")), 2);
  EXPECT_THAT(get("10.0.0.1:81"), HasSubstr("two"));
  EXPECT_EQ(get("10.0.0.1:80"), "");
  EXPECT_THAT(metrics(), HasSubstr("lb_config_generation 2\n"));
  // And back, though the workers have only just closed it.
  EXPECT_EQ(reload(respond("10.0.0.1:80", "three")), 3);
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("three"));
}

TEST_F(ControlPlaneTest, ABadFileChangesNothingAndSaysWhy) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  const auto result = reload("listeners: [{adress: x}]");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, admin::ChangeError::Kind::invalid);
  EXPECT_THAT(result.error().message, HasSubstr("test.yaml:1:14: error: "));
  EXPECT_THAT(weir_.process_log(),
              testing::Contains(HasSubstr("configuration not reloaded, what runs stays generation=1 "
                                          "reason=\"test.yaml:1:1: error: missing key 'clusters'")));
  EXPECT_EQ(weir_.control().generation(), 1);
  EXPECT_THAT(metrics(), HasSubstr("lb_config_last_reload_success 0\n"));
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("one"));
  EXPECT_EQ(reload(respond("10.0.0.1:80", "two")), 2);
  EXPECT_THAT(metrics(), HasSubstr("lb_config_last_reload_success 1\n"));
}

TEST_F(ControlPlaneTest, AListenerThatCannotBeBoundKeepsEverythingAsItWas) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  const auto taken = outside_.listen(at("10.0.0.1:82"), {});
  ASSERT_TRUE(taken.has_value());
  const auto result = reload(
      "listeners: [{name: new, address: \"10.0.0.1:81\"}, {name: busy, address: \"10.0.0.1:82\"}]\nadmin: none\n"
      "clusters: []\nroutes: [{respond: {status: 200, body: two}}]\n");
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error().message, HasSubstr("listener busy: cannot listen on 10.0.0.1:82"));
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("one"));
  EXPECT_EQ(get("10.0.0.1:81"), "");
  // Nothing of the refused one stayed bound.
  EXPECT_TRUE(outside_.listen(at("10.0.0.1:81"), {}).has_value());
}

TEST_F(ControlPlaneTest, WorkersAndAdminNeedARestart) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  const auto workers = reload(respond("10.0.0.1:80", "two", "workers: 7\n"));
  ASSERT_FALSE(workers.has_value());
  EXPECT_THAT(workers.error().message, HasSubstr("'workers'"));
  const auto admin =
      reload("listeners: [{name: web, address: \"10.0.0.1:80\"}]\nclusters: []\nroutes: [{respond: {status: 200}}]\n");
  ASSERT_FALSE(admin.has_value());
  EXPECT_THAT(admin.error().message, HasSubstr("'admin'"));
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("one"));
}

TEST_F(ControlPlaneTest, SeveralHangUpsBecomeTwoReloadsAtMost) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  const int before = weir_.loads();
  for (int i = 0; i < 10; ++i) weir_.control().hang_up();
  settle();
  EXPECT_EQ(weir_.loads() - before, 2);
  EXPECT_EQ(weir_.control().generation(), 3);
}

TEST_F(ControlPlaneTest, ARenamedListenerKeepsItsSocket) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  std::string renamed = respond("10.0.0.1:80", "two");
  renamed.replace(renamed.find("name: web"), 9, "name: www");
  EXPECT_EQ(reload(renamed), 2);
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("two"));
}

TEST_F(ControlPlaneTest, ReadinessWaitsForEachFirstCheckWhateverItSays) {
  SimBackend well(outside_, at("10.1.0.1:80"), "a");
  SimBackend mute(outside_, at("10.1.0.2:80"), "b");
  mute.set_silent(true);
  ASSERT_TRUE(start(proxy(kTwo, kChecked)));
  EXPECT_EQ(ready(), "waiting for the first health checks");
  run_for(1s);
  EXPECT_EQ(ready(), "ready");
}

TEST_F(ControlPlaneTest, ARefusedConnectionCountsAtOnceAndOneSuccessRestores) {
  auto a = std::make_unique<SimBackend>(outside_, at("10.1.0.1:80"), "from-a");
  SimBackend b(outside_, at("10.1.0.2:80"), "from-b");
  ASSERT_TRUE(start(proxy(kTwo, ", health_check: {interval: 60s}")));
  run_for(1s);
  EXPECT_THAT(metrics(), HasSubstr("lb_healthy_backends{cluster=\"app\"} 2\n"));
  a->stop();
  for (int i = 0; i < 4; ++i) get("10.0.0.1:80", "/", 20ms);
  EXPECT_TRUE(logged("backend is unhealthy cluster=app backend=a"));
  EXPECT_THAT(metrics(), HasSubstr("lb_backend_health_status{cluster=\"app\",backend=\"a\"} 0\n"));
  EXPECT_THAT(metrics(), HasSubstr("lb_healthy_backends{cluster=\"app\"} 1\n"));
  for (int i = 0; i < 4; ++i) EXPECT_THAT(get("10.0.0.1:80", "/", 20ms), HasSubstr("from-b"));
  a = std::make_unique<SimBackend>(outside_, at("10.1.0.1:80"), "from-a");
  run_for(1100ms);
  EXPECT_TRUE(backends()[0].healthy);
}

TEST_F(ControlPlaneTest, NamesThatDoNotResolveYetComeLater) {
  SimBackend backend(outside_, at("10.1.0.1:80"), "from-name");
  ASSERT_TRUE(start(proxy(R"({url: "http://app.internal:80"})", ", dns: {refresh: 1s}")));
  EXPECT_EQ(ready(), "ready");
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("no_healthy_backend"));
  EXPECT_THAT(metrics(), HasSubstr("lb_backend_health_status{cluster=\"app\",backend=\"app.internal:80\"} 0\n"));
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1")}, .ttl = 0s});
  run_for(1200ms);
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("from-name"));
  EXPECT_EQ(backends()[0].name, "app.internal:80");
  // A second address: both are named after their addresses, and a failing look-up changes nothing.
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1"), ip("10.1.0.2")}, .ttl = 0s});
  run_for(1200ms);
  ASSERT_EQ(backends().size(), 2);
  EXPECT_EQ(backends()[0].name, "app.internal:80@10.1.0.1");
  EXPECT_THAT(metrics(), Not(HasSubstr("backend=\"app.internal:80\"}")));
  weir_.resolver().answer("app.internal", Error{"no answer", ETIMEDOUT});
  run_for(5s);
  EXPECT_EQ(backends().size(), 2);
  EXPECT_TRUE(logged("look-up failed, the last addresses stay"));
}

TEST_F(ControlPlaneTest, FiguresOfANameAreThoseOfItsAddresses) {
  SimBackend one(outside_, at("10.1.0.1:80"), "from-one");
  SimBackend two(outside_, at("10.1.0.2:80"), "from-two");
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1"), ip("10.1.0.2")}, .ttl = 0s});
  ASSERT_TRUE(start(proxy(R"({name: app, url: "http://app.internal:80"})")));
  for (int i = 0; i < 4; ++i) get("10.0.0.1:80");
  std::optional<admin::Change<admin::BackendView>> patched;
  weir_.control().view().patch_backend("app", "app", {.weight = 2, .state = {}},
                                       [&](admin::Change<admin::BackendView> change) { patched = std::move(change); });
  settle();
  ASSERT_TRUE(patched && patched->has_value());
  EXPECT_EQ((*patched)->name, "app");
  EXPECT_EQ((*patched)->requests_total, 4U);
}

TEST_F(ControlPlaneTest, AdminChangesLastUntilTheNextReload) {
  SimBackend a(outside_, at("10.1.0.1:80"), "from-a");
  SimBackend b(outside_, at("10.1.0.2:80"), "from-b");
  ASSERT_TRUE(start(proxy(kTwo)));
  std::optional<admin::Change<admin::BackendView>> patched;
  weir_.control().view().patch_backend("app", "a", {.weight = std::nullopt, .state = admin::BackendState::draining},
                                       [&](admin::Change<admin::BackendView> change) { patched = std::move(change); });
  settle();
  ASSERT_TRUE(patched && patched->has_value());
  EXPECT_EQ((*patched)->state, admin::BackendState::draining);
  for (int i = 0; i < 4; ++i) EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("from-b"));
  EXPECT_EQ(weir_.control().generation(), 1);
  ASSERT_TRUE(reload(weir_.config()));
  EXPECT_EQ(backends()[0].state, admin::BackendState::active);
  std::string all;
  for (int i = 0; i < 8; ++i) all += get("10.0.0.1:80");
  EXPECT_THAT(all, HasSubstr("from-a"));
}

TEST_F(ControlPlaneTest, BackendsAreAddedAndRemovedAtRuntime) {
  SimBackend c(outside_, at("10.1.0.3:80"), "from-c");
  ASSERT_TRUE(start(proxy("")));
  const auto add = [&](admin::NewBackend wanted) {
    std::optional<admin::Change<admin::BackendView>> result;
    weir_.control().view().add_backend("app", std::move(wanted),
                                       [&](admin::Change<admin::BackendView> change) { result = std::move(change); });
    settle();
    return *result;
  };
  const auto added = add({.name = std::nullopt, .url = "http://10.1.0.3:80", .weight = 1, .max_connections = 5});
  ASSERT_TRUE(added.has_value());
  EXPECT_EQ(added->name, "10.1.0.3:80");
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("from-c"));
  EXPECT_EQ(add({.name = {}, .url = "http://10.1.0.3:80", .weight = 1, .max_connections = {}}).error().kind,
            admin::ChangeError::Kind::conflict);
  EXPECT_EQ(add({.name = {}, .url = "ftp://x", .weight = 1, .max_connections = {}}).error().kind,
            admin::ChangeError::Kind::invalid);
  for (const std::string& name : {std::string(129, 'n'), std::string("a\nb")}) {
    EXPECT_EQ(add({.name = name, .url = "http://10.1.0.4:80", .weight = 1, .max_connections = {}}).error().kind,
              admin::ChangeError::Kind::invalid);
  }
  std::optional<admin::Change<void>> removed;
  const auto remove = [&] {
    weir_.control().view().remove_backend("app", "10.1.0.3:80", [&](admin::Change<void> change) { removed = change; });
    settle();
  };
  remove();
  EXPECT_TRUE(removed->has_value());
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("no_healthy_backend"));
  EXPECT_THAT(metrics(), Not(HasSubstr("10.1.0.3:80")));
  remove();
  EXPECT_EQ(removed->error().kind, admin::ChangeError::Kind::not_found);
}

TEST_F(ControlPlaneTest, TerminateSaysNotReadyServesOnDrainsAndStops) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one", "drain_delay: 1s\ndrain_timeout: 5s\n")));
  weir_.control().terminate();
  EXPECT_EQ(ready(), "draining");
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("one"));
  EXPECT_FALSE(weir_.stopped());
  EXPECT_FALSE(reload(weir_.config()).has_value());
  run_for(1s);
  EXPECT_EQ(get("10.0.0.1:80"), "");
  EXPECT_TRUE(weir_.stopped());
  EXPECT_THAT(weir_.told(), ElementsAre("READY=1", "STOPPING=1"));
}

TEST_F(ControlPlaneTest, DrainTimeoutBoundsWhatStillRuns) {
  SimBackend mute(outside_, at("10.1.0.1:80"), "a");
  mute.set_silent(true);
  ASSERT_TRUE(start(proxy(R"({url: "http://10.1.0.1:80"})") + "drain_timeout: 3s\n"));
  SimPeer& client = connect("10.0.0.1:80");
  client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  run_for(100ms);
  weir_.control().terminate();
  run_for(2s);
  EXPECT_FALSE(weir_.stopped());
  EXPECT_FALSE(client.ended());
  run_for(2100ms);
  EXPECT_TRUE(weir_.stopped());
  EXPECT_TRUE(client.ended());
}

TEST_F(ControlPlaneTest, ASecondTerminateStopsAtOnce) {
  SimBackend mute(outside_, at("10.1.0.1:80"), "a");
  mute.set_silent(true);
  ASSERT_TRUE(start(proxy(R"({url: "http://10.1.0.1:80"})")));
  connect("10.0.0.1:80").send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  run_for(100ms);
  weir_.control().terminate();
  run_for(100ms);
  EXPECT_FALSE(weir_.stopped());
  weir_.control().terminate();
  run_for(100ms);
  EXPECT_TRUE(weir_.stopped());
}

TEST_F(ControlPlaneTest, OtherSignalsDoWhatTheySay) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  weir_.control().reopen_logs();
  EXPECT_EQ(weir_.logs().reopen_count(), 1);
  weir_.control().upgrade();
  EXPECT_TRUE(logged("not supported yet"));
  EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("one"));
  weir_.control().interrupt();
  settle();
  EXPECT_TRUE(weir_.stopped());
}

class Bugs : public ControlFixture {};

// A server that fails for one family alone looks like one that has no address of it.
TEST_F(Bugs, Case091AFamilyThatCannotBeLookedUpLosesItsBackends) {
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1"), ip("fd00::1")}, .ttl = 0s});
  ASSERT_TRUE(start(proxy(R"({name: app, url: "http://app.internal:80"})", ", dns: {refresh: 1s}")));
  EXPECT_FALSE(logged("name has new addresses cluster=app backend=app name=app.internal addresses=fd00::1"));
  weir_.resolver().fail_family("app.internal", AddressFamily::ipv4);
  run_for(5s);
  EXPECT_FALSE(logged("name has new addresses cluster=app backend=app name=app.internal addresses=fd00::1"));
  EXPECT_TRUE(logged("look-up failed, the last addresses stay"));
  // Once it is known that there is none, it goes.
  weir_.resolver().answer("app.internal", {.addresses = {ip("fd00::1")}, .ttl = 0s});
  weir_.resolver().mend("app.internal");
  run_for(2s);
  EXPECT_TRUE(logged("name has new addresses cluster=app backend=app name=app.internal addresses=fd00::1"));
}

// Both of the cluster alone: no listener has TLS.
TEST_F(Bugs, Case092RenewedFilesUndoWhatTheAdminApiChangedOrAreNotLookedAt) {
  const tls::TestAuthority first("first"), second("second");
  SimBackend b(outside_, at("10.1.0.2:80"), "from-b");
  weir_.set_file("/ca.pem", first.certificate());
  ASSERT_TRUE(start(proxy(kTwo, ", tls: {ca: /ca.pem}")));
  const auto patch = [&](const char* name, admin::BackendState state) {
    weir_.control().view().patch_backend("app", name, {.weight = {}, .state = state},
                                         [](const admin::Change<admin::BackendView>&) {});
    settle();
  };
  patch("a", admin::BackendState::draining);
  std::optional<admin::Change<void>> removed;
  weir_.control().view().remove_backend("app", "b", [&](admin::Change<void> change) { removed = change; });
  std::optional<admin::Change<admin::BackendView>> added;
  weir_.control().view().add_backend("app",
                                     {.name = "c", .url = "http://10.1.0.2:80", .weight = 1, .max_connections = {}},
                                     [&](admin::Change<admin::BackendView> change) { added = std::move(change); });
  settle();
  ASSERT_TRUE(removed && removed->has_value() && added && added->has_value());
  weir_.set_file("/ca.pem", second.certificate());
  run_for(11s);
  EXPECT_TRUE(logged("certificates renewed"));
  ASSERT_EQ(backends().size(), 2U);
  EXPECT_EQ(backends()[0].state, admin::BackendState::draining);
  EXPECT_EQ(backends()[1].name, "c");
  for (int i = 0; i < 4; ++i) EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("from-b"));
}

// It was told of while it stopped, and went on to say that it reloads.
TEST_F(Bugs, Case093AReloadThatWaitsBeginsAfterTerm) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one", "drain_delay: 1s\n")));
  const int before = weir_.loads();
  weir_.control().hang_up();
  weir_.control().hang_up();
  weir_.control().terminate();
  settle();
  EXPECT_EQ(weir_.loads() - before, 1);
}

// The log told only of those that had expired when the configuration came into force.
TEST_F(Bugs, Case096ACertificateThatExpiresWhileInUseIsToldOf) {
  using std::chrono::system_clock;
  // tidy: allow(banned-call): certificates count from the real clock, the simulation from a day of its own
  const auto behind = std::chrono::duration_cast<std::chrono::seconds>(world_.wall_now() - system_clock::now());
  const long day = 86400;
  const tls::IdentityText identity =
      tls::TestAuthority("ca").issue({.valid_from_s = behind.count() - day, .valid_to_s = behind.count() + 60});
  weir_.set_file("/site.crt", identity.certificate);
  weir_.set_file("/site.key", identity.key);
  ASSERT_TRUE(
      start("listeners: [{address: \"10.0.0.1:443\", tls: {certificates: [{cert: /site.crt, key: /site.key}]}}]\n"
            "admin: none\nclusters: []\nroutes: [{respond: {status: 200}}]\n"));
  run_for(50s);
  EXPECT_FALSE(logged("CERTIFICATE"));
  run_for(60s);
  const auto told = std::ranges::count_if(weir_.process_log(), [](const std::string& line) {
    return line.find("CERTIFICATE HAS EXPIRED") != std::string::npos;
  });
  EXPECT_EQ(told, 1);
}

// Only those of listeners were looked at, and one that Weir shows its backends expired without a word.
TEST_F(Bugs, Case177ACertificateOfAClusterThatExpiresIsNotToldOf) {
  using std::chrono::system_clock;
  // tidy: allow(banned-call): certificates count from the real clock, the simulation from a day of its own
  const auto behind = std::chrono::duration_cast<std::chrono::seconds>(world_.wall_now() - system_clock::now());
  const tls::IdentityText identity =
      tls::TestAuthority("ca").issue({.valid_from_s = behind.count() - 86400, .valid_to_s = behind.count() + 60});
  weir_.set_file("/me.crt", identity.certificate);
  weir_.set_file("/me.key", identity.key);
  weir_.set_file("/ca.pem", tls::TestAuthority("ca").certificate());
  const std::string text =
      "listeners: [{address: \"10.0.0.1:80\"}]\nadmin: {address: 10.0.0.1:9090}\nroutes: [{cluster: app}]\n"
      "clusters: [{name: app, backends: [{url: \"https://10.0.1.1:443\"}], "
      "tls: {ca: /ca.pem, cert: /me.crt, key: /me.key}}]\n";
  ASSERT_TRUE(start(text));
  run_for(50s);
  EXPECT_FALSE(logged("CERTIFICATE"));
  run_for(60s);
  const auto told = std::ranges::count_if(weir_.process_log(), [](const std::string& line) {
    return line.find("CERTIFICATE HAS EXPIRED") != std::string::npos && line.find("app") != std::string::npos;
  });
  EXPECT_EQ(told, 1);
  EXPECT_THAT(get("10.0.0.1:9090", "/metrics"), HasSubstr("lb_cluster_certificate_expiry_seconds{cluster=\"app\""));
}

// The other workers had no socket of the new address, and went on with those of the old one.
TEST_F(Bugs, Case140AListenerThatMovesToAUnixSocketStaysOpenOnTcp) {
  ASSERT_TRUE(start(respond("10.0.0.1:80", "one")));
  ASSERT_TRUE(reload(respond("unix:/run/weir.sock", "two")));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("10.0.0.1:80"), "");
  EXPECT_THAT(get("unix:/run/weir.sock"), HasSubstr("two"));
  ASSERT_TRUE(reload(respond("10.0.0.1:80", "three")));
  for (int i = 0; i < 4; ++i) EXPECT_THAT(get("10.0.0.1:80"), HasSubstr("three"));
  EXPECT_FALSE(outside_.connect(at("unix:/run/weir.sock")).has_value());
}

// The same server under another name had as many connections again.
TEST_F(Bugs, Case144MaxConnectionsIsCountedAnewWhenANameGetsASecondAddress) {
  SimBackend one(outside_, at("10.1.0.1:80"), "from-one");
  one.set_silent(true);
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1")}, .ttl = 0s});
  ASSERT_TRUE(start(proxy(R"({name: app, url: "http://app.internal:80", max_connections: 1})",
                          ", protocol: http1, dns: {refresh: 1s}")));
  SimPeer& first = connect("10.0.0.1:80");
  first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  run_for(50ms);
  ASSERT_EQ(one.connections(), 1U);
  weir_.resolver().answer("app.internal", {.addresses = {ip("10.1.0.1"), ip("10.1.0.2")}, .ttl = 0s});
  run_for(1200ms);
  ASSERT_EQ(backends().size(), 2U);
  for (int i = 0; i < 6; ++i) get("10.0.0.1:80");
  EXPECT_EQ(one.connections(), 1U);
}

// The reload's end undid the change that had been answered as in force.
TEST_F(Bugs, Case145AChangeDuringAReloadIsTakenAndLost) {
  ASSERT_TRUE(start(proxy(kTwo)));
  weir_.control().hang_up();
  std::optional<admin::Change<admin::BackendView>> patched;
  weir_.control().view().patch_backend("app", "a", {.weight = std::nullopt, .state = admin::BackendState::draining},
                                       [&](admin::Change<admin::BackendView> change) { patched = std::move(change); });
  settle();
  ASSERT_TRUE(patched);
  ASSERT_FALSE(patched->has_value());
  EXPECT_EQ(patched->error().kind, admin::ChangeError::Kind::conflict);
  EXPECT_EQ(patched->error().message, "a reload is under way");
}

}  // namespace
}  // namespace weir::server
