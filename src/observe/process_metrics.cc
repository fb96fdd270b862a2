#include "observe/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string>

namespace weir::observe {
namespace {

Result<std::string> read_whole(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(std::string("cannot open ") + path, errno);
  std::string text;
  char part[4096];
  ssize_t size;
  while ((size = ::read(fd, part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(size));
  const int code = errno;
  ::close(fd);
  if (size < 0) return fail(std::string("cannot read ") + path, code);
  return text;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

std::uint64_t boot_time(std::string_view stat) {
  const std::size_t at = stat.find("\nbtime ");
  if (at == std::string_view::npos) return 0;
  return parse_number(stat.substr(at + 7)).value_or(0);
}

std::uint64_t count_open_fds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (!folder) return 0;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the one that reads the folder
}

}  // namespace

std::optional<ProcessMetrics> parse_process_stat(std::string_view stat, std::uint64_t boot_time_seconds,
                                                 std::uint64_t ticks_per_second, std::uint64_t page_bytes) {
  // The second field is the program's name in parentheses and may hold anything: go on behind the last one.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || ticks_per_second == 0) return std::nullopt;
  std::string_view rest = stat.substr(name_end + 1);
  std::array<std::string_view, 22> fields;  // of proc(5), from the third: state
  for (auto& field : fields) {
    const std::size_t begin = rest.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(begin);
    field = rest.substr(0, rest.find_first_of(" \n"));
    rest.remove_prefix(field.size());
  }
  const auto user = parse_number(fields[11]), system = parse_number(fields[12]), start = parse_number(fields[19]);
  const auto virtual_bytes = parse_number(fields[20]), resident_pages = parse_number(fields[21]);
  if (!user || !system || !start || !virtual_bytes || !resident_pages) return std::nullopt;
  const auto ticks = static_cast<double>(ticks_per_second);
  ProcessMetrics metrics;
  metrics.cpu_seconds = static_cast<double>(*user + *system) / ticks;
  metrics.start_time_seconds = static_cast<double>(boot_time_seconds) + static_cast<double>(*start) / ticks;
  metrics.virtual_memory_bytes = *virtual_bytes;
  metrics.resident_memory_bytes = *resident_pages * page_bytes;
  return metrics;
}

Result<ProcessMetrics> read_process_metrics() {
  const auto stat = read_whole("/proc/self/stat");
  if (!stat) return std::unexpected(stat.error());
  const auto system_stat = read_whole("/proc/stat");
  auto metrics = parse_process_stat(*stat, system_stat ? boot_time(*system_stat) : 0,
                                    static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)),
                                    static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  if (!metrics) return fail("unexpected content of /proc/self/stat");
  metrics->open_fds = count_open_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) metrics->max_fds = limit.rlim_cur;
  return *metrics;
}

}  // namespace weir::observe
