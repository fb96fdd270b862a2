# What the scripts of the peers share. README.md beside it says what a script must do. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=${LAB_PEERS:-$HOME/.cache/weir-peers}/debian
case $(uname -m) in
  aarch64) loader=$root/usr/lib/ld-linux-aarch64.so.1 triplet=aarch64-linux-gnu ;;
  *) loader=$root/usr/lib64/ld-linux-x86-64.so.2 triplet=x86_64-linux-gnu ;;
esac

# cannot REASON: this peer can't do what was asked.
cannot() {
  echo "$*" >&2
  exit 3
}

print_words() { printf '%s\n' "$@"; }

# A program of the peers' folder runs with the libraries of that folder, by their own loader.
loaded() { "$loader" --library-path "$root/usr/lib/$triplet" "$@"; }
print_loaded() { print_words "$loader" --library-path "$root/usr/lib/$triplet" "$@"; }

# need PATH: the peer is set up.
need() { [[ -e $1 ]] || cannot "not set up: benchmarks/setup_peers.sh does it"; }

openssl_version() { loaded "$root/usr/bin/openssl" version 2>/dev/null | cut -d' ' -f1,2; }

# Of what this machine's own programs use, the program `openssl` among them.
system_openssl_version() { openssl version | grep -o 'OpenSSL [^ ]*' | tail -n 1; }

# A debian package's version.
package_version() { grep -hs "^$1 " "$root/packages.txt" | cut -d' ' -f2; }

main() {
  case ${1:-} in
    version) version ;;
    command) make_command ;;
    reload) if declare -F reload >/dev/null; then reload; else cannot "its configuration can't be loaded anew"; fi ;;
    *) echo "usage: $0 version|command|reload" >&2; exit 2 ;;
  esac
}
