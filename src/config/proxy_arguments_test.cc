#include "config/proxy_arguments.h"

#include <gmock/gmock.h>

#include "config/json.h"
#include "config/load.h"

namespace weir::config {
namespace {

TEST(ProxyArguments, MakeOneListenerClusterAndRoute) {
  ProxyArguments arguments;
  arguments.to = {"http://127.0.0.1:8001", "backend:8002", "unix:run/b.sock"};
  const auto spec = from_proxy_arguments(arguments);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->workers, 0U);
  EXPECT_FALSE(spec->admin);
  ASSERT_EQ(spec->listeners.size(), 1U);
  EXPECT_EQ(to_string(spec->listeners[0].address), "127.0.0.1:8080");
  ASSERT_EQ(spec->clusters.size(), 1U);
  ASSERT_EQ(spec->clusters[0].backends.size(), 3U);
  EXPECT_EQ(spec->clusters[0].backends[0].name, "127.0.0.1:8001");
  EXPECT_EQ(url_of(spec->clusters[0].backends[1]), "http://backend:8002");
  EXPECT_EQ(url_of(spec->clusters[0].backends[2]), "unix:run/b.sock");
  ASSERT_EQ(spec->routes.size(), 1U);
  EXPECT_EQ(spec->routes[0].action, RouteAction(ToCluster{spec->clusters[0].name}));
  // What it stands for is a valid file.
  const Parsed parsed = parse(to_json(*spec), "c.json", {});
  ASSERT_TRUE(parsed.spec) << render(parsed.diagnostics);
  EXPECT_EQ(*parsed.spec, *spec);
}

TEST(ProxyArguments, TakeEveryOption) {
  const auto spec = from_proxy_arguments({"[::]:80", {"a:1"}, "power_of_two", "3", "localhost:9091"});
  ASSERT_TRUE(spec);
  EXPECT_EQ(to_string(spec->listeners[0].address), "[::]:80");
  EXPECT_EQ(spec->clusters[0].balance, Balance::kPowerOfTwo);
  EXPECT_EQ(spec->workers, 3U);
  EXPECT_EQ(to_string(spec->admin->address), "127.0.0.1:9091");
}

TEST(ProxyArguments, ErrorsAreSentencesAndComeAtOnce) {
  const auto none = from_proxy_arguments({});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error(), testing::ElementsAre("at least one --to is needed, such as --to http://127.0.0.1:8001"));
  const auto spec = from_proxy_arguments({"x", {"http://a/p", "b", "c:1", "http://c:1"}, "maglev", "0", "y:1"});
  ASSERT_FALSE(spec);
  EXPECT_THAT(spec.error(),
              testing::ElementsAre(
                  "--listen x: expected host:port, [v6]:port or unix:/path",
                  "--to http://a/p: a backend URL has no path", "--to b: expected host:port, [v6]:port or unix:/path",
                  "--to http://c:1: is there twice", "--balance maglev: this policy is not supported yet",
                  "--workers 0: expected auto or a whole number from 1 to 1024",
                  "--admin y:1: listening needs an IP address (or localhost), not a name"));
  const auto same = from_proxy_arguments({"127.0.0.1:1", {"a:1"}, "rr", std::nullopt, "127.0.0.1:1"});
  ASSERT_FALSE(same);
  EXPECT_THAT(same.error(),
              testing::ElementsAre("--balance rr: expected one of round_robin, weighted_round_robin, random, "
                                   "least_connections, power_of_two",
                                   "--admin 127.0.0.1:1: is the address of --listen"));
}

}  // namespace
}  // namespace weir::config
