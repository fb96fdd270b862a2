#include "server/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

namespace weir::server {
namespace {

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::size_t> cores(std::optional<std::int64_t> quota_us, std::optional<std::int64_t> period_us) {
  if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) return std::nullopt;
  return static_cast<std::size_t>((*quota_us + *period_us - 1) / *period_us);
}

void lower(std::optional<std::size_t>& least, std::optional<std::size_t> other) {
  if (other && (!least || *other < *least)) least = other;
}

// "max 100000" or "150000 100000".
std::optional<std::size_t> read_v2(const ReadFile& read, const std::string& folder) {
  const auto text = read(folder + "/cpu.max");
  if (!text) return std::nullopt;
  const std::size_t space = text->find(' ');
  if (space == std::string::npos) return std::nullopt;
  return cores(number(*text), number(std::string_view(*text).substr(space + 1)));
}

std::optional<std::size_t> read_v1(const ReadFile& read, const std::string& folder) {
  const auto quota = read(folder + "/cpu.cfs_quota_us");
  const auto period = read(folder + "/cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  return cores(number(*quota), number(*period));
}

// The group's own limit and those of the groups above it count. In a container the path may name groups that are not
// visible from inside; the mount's root is then the group itself.
template <typename ReadLimit>
std::optional<std::size_t> least_up_to_root(const std::string& mount, std::string path, const ReadLimit& read_limit) {
  std::optional<std::size_t> least;
  while (!path.empty() && path != "/") {
    lower(least, read_limit(mount + path));
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  lower(least, read_limit(mount));
  return least;
}

bool names_cpu(std::string_view controllers) {
  std::size_t begin = 0;
  while (begin <= controllers.size()) {
    const std::size_t end = std::min(controllers.find(',', begin), controllers.size());
    if (controllers.substr(begin, end - begin) == "cpu") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<int> allowed_cores() {
  // Machines with more cores than a cpu_set_t holds answer with an error: then the set has to be larger.
  for (std::size_t most = CPU_SETSIZE; most <= (1U << 16U); most *= 2) {
    cpu_set_t* set = CPU_ALLOC(most);
    const std::size_t size = CPU_ALLOC_SIZE(most);
    CPU_ZERO_S(size, set);
    const bool known = sched_getaffinity(0, size, set) == 0;
    std::vector<int> cores_found;
    for (std::size_t core = 0; known && core < most; ++core) {
      if (CPU_ISSET_S(core, size, set)) cores_found.push_back(static_cast<int>(core));
    }
    CPU_FREE(set);
    if (!cores_found.empty()) return cores_found;
  }
  return {0};
}

std::optional<std::size_t> cgroup_cores(const ReadFile& read) {
  const auto groups = read("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  std::optional<std::size_t> least;
  std::istringstream lines(*groups);
  for (std::string line; std::getline(lines, line);) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      lower(least, least_up_to_root("/sys/fs/cgroup", path, [&](const std::string& at) { return read_v2(read, at); }));
    } else if (names_cpu(controllers)) {
      lower(least,
            least_up_to_root("/sys/fs/cgroup/cpu", path, [&](const std::string& at) { return read_v1(read, at); }));
    }
  }
  return least;
}

std::size_t automatic_workers(std::size_t cores_allowed, std::optional<std::size_t> cgroup_limit) {
  return std::max<std::size_t>(1, std::min(cores_allowed, cgroup_limit.value_or(cores_allowed)));
}

}  // namespace weir::server
