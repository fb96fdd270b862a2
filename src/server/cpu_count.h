#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weir::server {

// Reads a small file; nothing if it can't be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> read_file(const std::string& path);

// The cores this process may run on (its affinity mask), in ascending order; never empty.
std::vector<int> allowed_cores();

// How many cores' worth of time the control group lets this process use (cgroup v2's cpu.max of the group and of each
// group above it, or v1's cfs quota), rounded up and at least 1; nothing if it sets no limit.
std::optional<std::size_t> cgroup_cores(const ReadFile& read);

// What `workers: auto` means: one per allowed core, but not more than the control group has time for; at least 1.
std::size_t automatic_workers(std::size_t allowed_cores, std::optional<std::size_t> cgroup_cores);

}  // namespace weir::server
