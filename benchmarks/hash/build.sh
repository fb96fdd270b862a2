#!/usr/bin/env bash
# build.sh [cpp] [go] [rust] [k6]: builds these servers of the /hash workload, and k6 where it is not installed; all of
# them if none is named. What is up to date is not built again. A missing compiler is one line, and the others are built
# all the same: exit status 3 then. One that fails is exit status 1, after the others.
set -euo pipefail

root=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
here=$root/benchmarks/hash
out=$root/build/hash
k6_version=v1.8.1
skipped=0
failed=0

skip() {
  echo "hash: $*" >&2
  skipped=1
}

build_cpp() {
  "$root/tools/setup" build
  local targets=(weir-backend)
  # What the rounds cost alone, where Google Benchmark is installed.
  if [[ -e /usr/include/benchmark/benchmark.h ]]; then targets+=(weir-backend-bench); fi
  (cd "$root" && cmake --preset release && cmake --build --preset release --target "${targets[@]}")
}

build_go() {
  command -v go >/dev/null || { skip "no Go here (Debian: golang-go): its server is left out"; return 0; }
  (cd "$here/go" && go build -trimpath -o "$out/hash-go" .)
}

build_rust() {
  command -v cargo >/dev/null || { skip "no Rust here (Debian: cargo): its server is left out"; return 0; }
  (cd "$here/rust" && cargo build --release --locked --target-dir "$out/rust")
}

# Takes minutes the first time; Go's cache keeps it.
build_k6() {
  local place
  for place in "$(command -v k6 || true)" "$out/k6" "${GOPATH:-$HOME/go}/bin/k6"; do
    if [[ -n $place && -x $place ]]; then return 0; fi
  done
  command -v go >/dev/null || { skip "no k6 here, and no Go to build it: the ramp of users is left out"; return 0; }
  if ! GOBIN=$out go install "go.k6.io/k6@$k6_version"; then
    skip "k6 $k6_version could not be built: the ramp of users is left out"
  fi
}

main() {
  (($# > 0)) || set -- cpp go rust k6
  local one
  for one in "$@"; do
    case $one in
      cpp | go | rust | k6) ;;
      *) echo "usage: benchmarks/hash/build.sh [cpp] [go] [rust] [k6]" >&2; exit 2 ;;
    esac
  done
  mkdir -p "$out"
  for one in "$@"; do
    local log=$out/build-$one.log
    if ! "build_$one" >"$log" 2>"$log.err"; then
      tail -n 20 "$log" "$log.err" >&2
      echo "hash: building $one failed" >&2
      failed=1
    fi
    grep '^hash: ' "$log.err" >&2 || true
  done
  ((failed == 0)) || exit 1
  ((skipped == 0)) || exit 3
}

main "$@"
