#pragma once

#include <string>

#include "config/proxy_arguments.h"

namespace weir {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // the configuration or the run
inline constexpr int kWrongUsage = 2;

// The commands of the program. Each returns the exit code; errors go to stderr.
int run_command(const std::string& config_path);
int proxy_command(const config::ProxyArguments& arguments);
int check_command(const std::string& config_path);
int keys_command();  // every key of the configuration that has a value of its own
int version_command();
int unsupported_command(const std::string& name);

}  // namespace weir
