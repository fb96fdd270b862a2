#include "version.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "weir_version.h"

namespace weir {

server::BuildInfo build_info() {
  return {.version = WEIR_VERSION, .commit = WEIR_COMMIT, .compiler = WEIR_COMPILER};
}

std::string version_text() {
  const server::BuildInfo build = build_info();
  return fmt::format("weir {}\ncommit: {}\ncompiler: {}\nTLS library: {}\n", build.version, build.commit,
                     build.compiler, OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace weir
