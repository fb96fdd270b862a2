#!/usr/bin/env bash
# build.sh [cpp] [go] [rust]: builds these servers of the /hash workload, all three if none is named. What is up to date
# is not built again. A missing compiler is one line, and the others are built all the same: exit status 3 then.
set -euo pipefail

root=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
here=$root/benchmarks/hash
out=$root/build/hash
skipped=0

skip() {
  echo "hash: $*" >&2
  skipped=1
}

build_cpp() {
  "$root/tools/setup" build
  (cd "$root" && cmake --preset release && cmake --build --preset release --target weir-backend)
}

build_go() {
  command -v go >/dev/null || { skip "no Go here (Debian: golang-go): its server is left out"; return 0; }
  (cd "$here/go" && go build -trimpath -o "$out/hash-go" .)
}

build_rust() {
  command -v cargo >/dev/null || { skip "no Rust here (Debian: cargo): its server is left out"; return 0; }
  (cd "$here/rust" && cargo build --release --locked --target-dir "$out/rust")
}

main() {
  (($# > 0)) || set -- cpp go rust
  local one
  for one in "$@"; do
    case $one in
      cpp | go | rust) ;;
      *) echo "usage: benchmarks/hash/build.sh [cpp] [go] [rust]" >&2; exit 2 ;;
    esac
  done
  mkdir -p "$out"
  for one in "$@"; do
    local log=$out/build-$one.log
    if ! "build_$one" >"$log" 2>"$log.err"; then
      tail -n 20 "$log" "$log.err" >&2
      echo "hash: building $one failed" >&2
      exit 1
    fi
    grep '^hash: ' "$log.err" >&2 || true
  done
  ((skipped == 0)) || exit 3
}

main "$@"
