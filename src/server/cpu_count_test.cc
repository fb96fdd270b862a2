#include "server/cpu_count.h"

#include <gtest/gtest.h>

#include <map>

namespace weir::server {
namespace {

ReadFile files(std::map<std::string, std::string> contents) {
  return [contents = std::move(contents)](const std::string& path) -> std::optional<std::string> {
    const auto found = contents.find(path);
    if (found == contents.end()) return std::nullopt;
    return found->second;
  };
}

TEST(CpuCount, NoGroupMeansNoLimit) {
  EXPECT_EQ(cgroup_cores(files({})), std::nullopt);
}

TEST(CpuCount, Version2TakesTheLowestOnTheWayUp) {
  EXPECT_EQ(cgroup_cores(files({{"/proc/self/cgroup", "0::/a/b\n"},
                                {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                                {"/sys/fs/cgroup/a/cpu.max", "250000 100000\n"}})),
            3);
  EXPECT_EQ(cgroup_cores(files({{"/proc/self/cgroup", "0::/a\n"}, {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"}})),
            std::nullopt);
}

TEST(CpuCount, Version2InAContainerReadsTheRootOfTheMount) {
  EXPECT_EQ(cgroup_cores(files({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "50000 100000\n"}})), 1);
}

TEST(CpuCount, Version1NeedsTheCpuController) {
  const std::map<std::string, std::string> quota{{"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "400000\n"},
                                                 {"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}};
  auto with = quota;
  with["/proc/self/cgroup"] = "4:cpu,cpuacct:/x\n3:memory:/x\n";
  EXPECT_EQ(cgroup_cores(files(with)), 4);
  auto without = quota;
  without["/proc/self/cgroup"] = "4:cpuset:/x\n";
  EXPECT_EQ(cgroup_cores(files(without)), std::nullopt);
}

TEST(CpuCount, NegativeQuotaIsNoLimit) {
  EXPECT_EQ(cgroup_cores(files({{"/proc/self/cgroup", "4:cpu:/\n"},
                                {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                                {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}})),
            std::nullopt);
}

TEST(CpuCount, AutomaticIsTheSmallerAndAtLeastOne) {
  EXPECT_EQ(automatic_workers(8, std::nullopt), 8);
  EXPECT_EQ(automatic_workers(8, 3), 3);
  EXPECT_EQ(automatic_workers(2, 16), 2);
  EXPECT_EQ(automatic_workers(0, std::nullopt), 1);
}

TEST(CpuCount, ThisProcessRunsSomewhere) {
  EXPECT_FALSE(allowed_cores().empty());
}

}  // namespace
}  // namespace weir::server
