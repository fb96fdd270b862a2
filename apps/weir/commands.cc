#include "commands.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "config/load.h"
#include "server/file_reader.h"
#include "server/process.h"
#include "version.h"

namespace weir {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::expected<std::string, std::string> read_text(const std::string& path) {
  const auto failed = [&](const char* what) {
    return std::unexpected(fmt::format("{}: error: {}: {}\n", path, what, std::strerror(errno)));
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) return failed("cannot open");
  std::string text;
  char piece[16 * 1024];
  while (const std::size_t size = std::fread(piece, 1, sizeof(piece), file.get())) text.append(piece, size);
  if (std::ferror(file.get()) != 0) return failed("cannot read");
  return text;
}

std::optional<std::string> environment_variable(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

server::LoadedSpec load(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return std::unexpected(text.error());
  config::Parsed parsed = config::parse(*text, path, environment_variable, server::read_text_file);
  if (!parsed.spec) return std::unexpected(config::render(parsed.diagnostics));
  return std::move(*parsed.spec);
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

int run_command(const std::string& config_path) {
  return server::run_process(
      {.load = [config_path] { return load(config_path); }, .build = build_info(), .seed = random_seed()});
}

int proxy_command(const config::ProxyArguments& arguments) {
  const auto spec = config::from_proxy_arguments(arguments);
  if (!spec) {
    for (const std::string& error : spec.error()) fmt::print(stderr, "weir proxy: error: {}\n", error);
    return kWrongUsage;
  }
  return server::run_process(
      {.load = [spec = *spec]() -> server::LoadedSpec { return spec; }, .build = build_info(), .seed = random_seed()});
}

int check_command(const std::string& config_path) {
  const auto spec = load(config_path);
  if (spec) return kDone;
  fmt::print(stderr, "{}", spec.error());
  return kFailed;
}

int keys_command() {
  for (const std::string& key : config::accepted_leaf_keys()) fmt::print("{}\n", key);
  return kDone;
}

int version_command() {
  fmt::print("{}", version_text());
  return kDone;
}

int unsupported_command(const std::string& name) {
  fmt::print(stderr, "weir {}: not supported yet\n", name);
  return kWrongUsage;
}

}  // namespace weir
