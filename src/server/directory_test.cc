#include "server/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/control_fixture.h"

namespace weir::server {
namespace {

using testing::EndsWith;

class DirectoryTest : public ControlFixture {
 protected:
  static std::string one_backend(std::string_view address) {
    return fmt::format(
        "listeners: [{{name: web, address: \"10.0.0.1:80\"}}]\nadmin: none\n"
        "clusters: [{{name: app, backends: [{{name: a, url: \"http://{}\"}}], retry: {{attempts: 1}},\n"
        "            health_check: {{interval: 1s, timeout: 500ms}}}}]\n"
        "routes: [{{cluster: app}}]\n",
        address);
  }
};

// A backend is what it was only with the same name and the same URL.
TEST_F(DirectoryTest, AnotherUrlIsAnotherBackend) {
  SimBackend old(outside_, at("10.1.0.1:80"), "old");
  SimBackend moved(outside_, at("10.1.0.2:80"), "moved");
  ASSERT_TRUE(start(one_backend("10.1.0.1:80")));
  run_for(1s);
  EXPECT_THAT(get("10.0.0.1:80"), EndsWith("old"));
  EXPECT_EQ(reload(one_backend("10.1.0.2:80")), 2);
  EXPECT_THAT(get("10.0.0.1:80"), EndsWith("moved"));
}

TEST_F(DirectoryTest, AReloadForgetsNoFailedCheck) {
  SimBackend backend(outside_, at("10.1.0.1:80"), "up");
  backend.set_status(500);
  ASSERT_TRUE(start(one_backend("10.1.0.1:80")));
  run_for(10s);
  ASSERT_EQ(backends().size(), 1U);
  ASSERT_FALSE(backends()[0].healthy);
  EXPECT_EQ(reload(one_backend("10.1.0.1:80") + "drain_timeout: 7s\n"), 2);
  EXPECT_FALSE(backends()[0].healthy);
  EXPECT_THAT(get("10.0.0.1:80"), EndsWith("no_healthy_backend\n"));
}

}  // namespace
}  // namespace weir::server
