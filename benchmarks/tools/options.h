#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client.h"

namespace weir::lab {

enum class Tls : std::uint8_t { none, full, resumed };

// What the command line says; see usage() in load_main.cc.
struct Options {
  std::string mode;
  std::uint16_t port = 0;
  double rate_per_s = 0;  // 0: closed loop, each connection as fast as it is answered
  double duration_s = 5;
  double warm_up_s = 0.5;
  std::uint32_t connections = 64;
  std::uint32_t threads = 1;
  std::uint32_t streams = 16;
  bool http2 = false;
  Tls tls = Tls::none;
  Request request;
};

// Each prints one JSON object on a line to stdout and returns the exit status.
int run_open_loop(const Options& options);
int run_connect(const Options& options);
int run_hold(const Options& options);

}  // namespace weir::lab
