#!/usr/bin/env bash
# Runs every test there is. The last line says `N passed, M failed`; the exit status is 0 if none failed.
# ./test.sh --quick runs the development build alone: its tests and tools/tidy.
set -euo pipefail

root=$(dirname "$(readlink -f "$0")")
cd "$root"
export PYTHONDONTWRITEBYTECODE=1
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1  # another clone of the same sources finds the same objects
jobs=$(nproc)
results=build/test-results
fuzz_seconds=10  # for each target
step_number=0

# step "NAME" COMMAND...: runs it, its output into a log, and prints one line with the time it took. A failure prints
# the end of the log, is counted, and lets the other steps go on. $result is where COMMAND may leave its counts.
step() {
  local name=$1 started=$SECONDS status=0 summary
  shift
  step_number=$((step_number + 1))
  result=$results/$(printf '%02d' "$step_number").json
  local log=${result%.json}.log
  "$@" >"$log" 2>&1 </dev/null || status=$?
  summary=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
  if ((status == 0)); then
    printf 'ok      %-34s %4d s  %s\n' "$name" $((SECONDS - started)) "$summary"
    return 0
  fi
  [[ -s $result ]] || printf '{"passed": 0, "failures": ["%s"]}\n' "$name" >"$result"
  tail -n 80 "$log"
  printf 'FAILED  %-34s %4d s  %s (all of it: %s)\n' "$name" $((SECONDS - started)) "$summary" "$log"
  return 1
}

# The steps' own functions chain with &&: bash ignores `set -e` in what is called as a condition.

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  (($# == 0)) || set -- --target "$@"
  cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" "$@"
}

# build_selected PRESET OPTION...: only the programs that `tests` with these options would run, and weir itself.
build_selected() {
  local preset=$1 targets
  shift
  cmake --preset "$preset" && targets=$(tools/run_tests.py list "build/$preset" "$@") &&
    xargs cmake --build --preset "$preset" -j "$jobs" --target weir weir-backend <<<"$targets"
}

build_fuzzers() {
  local targets
  cmake --preset fuzz && targets=$(tools/run_tests.py list build/fuzz --label fuzz) || return
  [[ -n $targets ]] || { echo "there is no fuzz target"; return 1; }
  xargs cmake --build --preset fuzz -j "$jobs" --target <<<"$targets"
}

# tests PRESET OPTION...
tests() {
  local preset=$1
  shift
  tools/run_tests.py run "build/$preset" --jobs "$jobs" --result "$result" "$@"
}

script_tests() {
  tools/run_tests.py scripts tools/*_test.py benchmarks/lab/*_test.py --result "$result"
}

tidy() {
  tools/tidy && echo '{"passed": 1, "failures": []}' >"$result"
}

# What git knows nothing of and does not ignore.
untracked_files() {
  git status --porcelain --untracked-files=all 2>/dev/null | grep '^??' || true
}

no_new_files() {
  local now
  now=$(untracked_files)
  [[ $now == "$1" ]] || { echo "the tests left files behind:"; echo "$now"; return 1; }
}

development_steps() {
  step "tests of the scripts" script_tests || true
  if step "build, development" build dev; then
    step "tidy" tidy || true
    step "tests, development" tests dev --without integration --without release-only || true
  fi
}

sanitizer_steps() {
  local asan=(--without release-only) tsan=(--label threads --without release-only)
  if step "build, address and undefined" build_selected asan "${asan[@]}"; then
    step "tests, address and undefined" tests asan "${asan[@]}" --timeout-factor 4 || true
  fi
  if step "build, thread" build_selected tsan "${tsan[@]}"; then
    step "tests, thread" tests tsan "${tsan[@]}" --timeout-factor 8 || true
  fi
  if step "build, fuzz targets" build_fuzzers; then
    step "fuzz targets, $fuzz_seconds s each" tests fuzz --label fuzz --fuzz-seconds "$fuzz_seconds" || true
  fi
}

release_steps() {
  if step "build, release" build release weir weir-backend lab-load lab-copy; then
    step "tests, release" tests dev --label integration --label release-only --binaries build/release || true
  fi
}

main() {
  case ${1:-} in
    "" | --quick) ;;
    *) echo "usage: ./test.sh [--quick]" >&2; exit 2 ;;
  esac
  tools/setup test
  rm -rf "$results"
  mkdir -p "$results"
  local before
  before=$(untracked_files)
  development_steps
  if [[ ${1:-} != --quick ]]; then
    sanitizer_steps
    release_steps
    step "no untracked file left" no_new_files "$before" || true
  fi
  tools/run_tests.py sum "$results"
}

main "$@"
