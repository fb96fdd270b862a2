// lab-load: the load that no known generator makes. See usage().
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <map>

#include "options.h"

namespace weir::lab {
namespace {

void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run(int argc, char** argv) {
  CLI::App app{"Loads a server on 127.0.0.1 and prints what came of it as one line of JSON.", "lab-load"};
  app.require_subcommand(1);
  Options options;
  std::vector<std::string> fields;
  const auto common = [&](CLI::App* mode, const char* name) {
    mode->callback([&options, name] { options.mode = name; });
    mode->add_option("--port", options.port, "the server's port")->required();
    mode->add_option("--connections", options.connections)->capture_default_str();
    mode->add_option("--path", options.request.path)->capture_default_str();
    mode->add_option("--host", options.request.host, "the Host field, and the name asked for in TLS")
        ->capture_default_str();
    mode->add_option("--header", fields, "a field of every request, `name: value`");
    mode->add_option("--body", options.request.body_bytes, "the size that every answer's body must have, in bytes");
    return mode;
  };
  CLI::App* open =
      common(app.add_subcommand("open", "requests at a fixed rate, whether or not they are answered"), "open");
  open->add_option("--rate", options.rate_per_s, "requests per second; 0 for as fast as they are answered");
  open->add_option("--threads", options.threads)->capture_default_str()->check(CLI::PositiveNumber);
  open->add_flag("--http2", options.http2);
  open->add_option("--streams", options.streams, "running requests per HTTP/2 connection")->capture_default_str();
  CLI::App* connect = common(app.add_subcommand("connect", "a new connection for every request"), "connect");
  const std::map<std::string, Tls> kinds{{"none", Tls::none}, {"full", Tls::full}, {"resumed", Tls::resumed}};
  connect->add_option("--tls", options.tls, "none, full or resumed handshakes (TLS 1.3)")
      ->transform(CLI::CheckedTransformer(kinds));
  for (CLI::App* mode : {open, connect}) {
    mode->add_option("--duration", options.duration_s, "seconds that count")->capture_default_str();
    mode->add_option("--warm-up", options.warm_up_s, "seconds before that don't")->capture_default_str();
  }
  CLI::App* hold = common(app.add_subcommand("hold", "idle connections, until standard input ends"), "hold");
  hold->add_flag("--http2", options.http2);
  hold->add_flag_callback("--tls", [&options] { options.tls = Tls::full; }, "over TLS 1.3");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const std::string& field : fields) {
    const std::size_t colon = field.find(": ");
    if (colon == std::string::npos) {
      fmt::print(stderr, "lab-load: a header is `name: value`, not \"{}\"\n", field);
      return 2;
    }
    options.request.fields.emplace_back(field.substr(0, colon), field.substr(colon + 2));
  }
  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);
  if (options.mode == "open") return run_open_loop(options);
  return options.mode == "connect" ? run_connect(options) : run_hold(options);
}

}  // namespace
}  // namespace weir::lab

int main(int argc, char** argv) {
  return weir::lab::run(argc, argv);
}
