#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "commands.h"

namespace {

// Wrong usage: what is wrong, and where to read on.
int complain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const std::string name = at == &app ? "weir" : "weir " + at->get_name();
  fmt::print(stderr, "{}: error: {}\nTry '{} --help'.\n", name, error.what(), name);
  return weir::kWrongUsage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Weir, an HTTP load balancer and reverse proxy.\nExit codes: 0 done, 1 the configuration or the run failed, "
      "2 wrong usage.");
  app.name("weir");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Print this help");

  std::string config_path;
  weir::config::ProxyArguments proxy_arguments;

  CLI::App* run = app.add_subcommand("run", "Serve what a configuration file says, in the foreground");
  run->add_option("-f,--file", config_path, "The configuration file")->required()->type_name("CONFIG");

  CLI::App* proxy = app.add_subcommand("proxy", "Serve without a configuration file");
  proxy->add_option("--listen", proxy_arguments.listen, "Where to listen: host:port, [v6]:port or unix:/path")
      ->type_name("ADDRESS")
      ->capture_default_str();
  proxy->add_option("--to", proxy_arguments.to, "A backend, as URL or host:port; may be given several times")
      ->required()
      ->allow_extra_args(false)
      ->type_name("URL");
  proxy
      ->add_option("--balance", proxy_arguments.balance,
                   "round_robin (default), random, least_connections or power_of_two")
      ->type_name("POLICY");
  proxy->add_option("--workers", proxy_arguments.workers, "How many worker threads: a number, or auto (default)")
      ->type_name("N");
  proxy->add_option("--admin", proxy_arguments.admin, "Where to serve metrics, health and the API (default: nowhere)")
      ->type_name("ADDRESS");

  CLI::App* check = app.add_subcommand("check", "Say what is wrong with a configuration file; silent if nothing is");
  CLI::Option* file = check->add_option("-f,--file", config_path, "The configuration file")->type_name("CONFIG");
  bool print_keys = false;
  check->add_flag("--keys", print_keys, "Print every key that has a value of its own, and check nothing")
      ->excludes(file);
  check->callback([&] {
    if (file->empty() && !print_keys) throw CLI::RequiredError(file->get_name());
  });

  CLI::App* version = app.add_subcommand("version", "Print version, commit, compiler and TLS library");
  CLI::App* explain = app.add_subcommand("explain", "Not supported yet: say which route a request takes, and why");
  CLI::App* top = app.add_subcommand("top", "Not supported yet: a live view in the terminal");
  for (CLI::App* unsupported : {explain, top}) unsupported->allow_extras();

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return complain(app, error);
  }
  if (run->parsed()) return weir::run_command(config_path);
  if (proxy->parsed()) return weir::proxy_command(proxy_arguments);
  if (check->parsed()) return print_keys ? weir::keys_command() : weir::check_command(config_path);
  if (version->parsed()) return weir::version_command();
  return weir::unsupported_command(explain->parsed() ? "explain" : "top");
}
