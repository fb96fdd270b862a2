#!/usr/bin/env bash
# Builds Weir and runs it on port 8080 in front of three backends, with config.yaml; ./start.sh stop ends all of it.
# What runs has its process id in run/NAME.pid and its output in run/NAME.log. Again while Weir runs, it only starts the
# backends that are gone.
set -euo pipefail

root=$(dirname "$(readlink -f "$0")")
cd "$root"
run=$root/run
bin=$root/build/release
listen_port=8080
admin_port=9090
backend_ports=(8001 8002 8003)
ready_timeout_s=30
drain_timeout_s=35  # a little above Weir's drain_timeout
started=()          # what this call has started; ended again if it fails

fail() {
  echo "start.sh: $*" >&2
  exit 1
}

# Field 22 of /proc/PID/stat: with the process id it names a process for good; ids alone are used again. A zombie has
# ended.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  local fields
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z ]] && echo "${fields[19]}"
}

# Prints the process id of NAME if it still is the process that we started.
running_pid() {
  local pid="" since=""
  [[ -f $run/$1.pid ]] || return 1
  read -r pid since <"$run/$1.pid" || return 1
  [[ -n $pid && -n $since && $(start_time "$pid") == "$since" ]] && echo "$pid"
}

names() {
  printf 'weir\n'
  printf 'backend-%s\n' "${backend_ports[@]}"
}

# port_is_taken PORT: whether something listens there that would keep us from it. The kernel's table tells.
port_is_taken() {
  local hex
  hex=$(printf '%04X' "$1")
  local any4=00000000 loopback4=0100007F any6=00000000000000000000000000000000
  grep -qsE "^ *[0-9]+: ($any4|$loopback4|$any6|0000000000000000FFFF0000$loopback4):$hex [0-9A-F]+:0000 0A " \
    /proc/net/tcp /proc/net/tcp6
}

# start NAME COMMAND...: in a session of its own, so that it outlives this script and its terminal.
start() {
  local name=$1 pid
  shift
  setsid "$@" </dev/null >"$run/$name.log" 2>&1 9>&- &
  pid=$!
  started+=("$name")
  echo "$pid $(start_time "$pid" || true)" >"$run/$name.pid"
}

# gone NAME SECONDS: waits until it has ended; false if it still runs after that.
gone() {
  local deadline=$((SECONDS + $2))
  while running_pid "$1" >/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# end NAME SECONDS: TERM, and KILL if it takes longer than that. False if it did not run.
end() {
  local name=$1 pid
  if ! pid=$(running_pid "$name"); then
    rm -f "$run/$name.pid"
    return 1
  fi
  if ! kill -TERM "$pid" 2>/dev/null && running_pid "$name" >/dev/null; then
    fail "may not stop $name (process $pid): it belongs to another user"
  fi
  if ! gone "$name" "$2"; then
    kill -KILL "$pid" 2>/dev/null || true
    gone "$name" 5 || fail "$name (process $pid) does not end"
  fi
  rm -f "$run/$name.pid"
}

stop_all() {
  local name stopped=()
  for name in $(names); do
    if end "$name" "$drain_timeout_s"; then stopped+=("$name"); fi
  done
  if ((${#stopped[@]} > 0)); then echo "stopped ${stopped[*]}"; else echo "nothing was running"; fi
}

undo() {
  local name
  for name in "${started[@]}"; do end "$name" 2 || true; done
}

get() {
  curl --noproxy '*' --silent --fail --max-time 2 --output /dev/null "$1"
}

# wait_for NAME URL: until it answers 200; fails early if the process ends.
wait_for() {
  local name=$1 url=$2 deadline=$((SECONDS + ready_timeout_s))
  until get "$url"; do
    if ! running_pid "$name" >/dev/null; then
      tail -n 20 "$run/$name.log" >&2
      fail "$name ended at once; its last lines stand above, all of them in run/$name.log"
    fi
    if ((SECONDS >= deadline)); then
      tail -n 20 "$run/$name.log" >&2
      fail "$name did not answer 200 at $url within $ready_timeout_s s; see run/$name.log"
    fi
    sleep 0.05
  done
}

build() {
  local log=$root/build/release.log
  mkdir -p "$root/build"
  [[ -x $bin/weir ]] || echo "building Weir (takes a few minutes the first time) ..."
  # 9 is our lock: what the build might leave behind must not hold it.
  if ! { cmake --preset release &&
    cmake --build --preset release -j "$(nproc)" --target weir weir-backend; } >"$log" 2>&1 </dev/null 9>&-; then
    tail -n 30 "$log" >&2
    fail "the build failed; its last lines stand above, all of them in build/release.log"
  fi
}

start_backends() {
  local port
  for port in "$@"; do
    start "backend-$port" "$bin/weir-backend" --listen "127.0.0.1:$port" --name "backend-$port"
  done
  for port in "$@"; do wait_for "backend-$port" "http://127.0.0.1:$port/health"; done
}

# Prints the ports of the backends that do not run.
missing_backends() {
  local port
  for port in "${backend_ports[@]}"; do
    running_pid "backend-$port" >/dev/null || echo "$port"
  done
}

check_ports() {
  local port
  for port in "$@"; do
    ! port_is_taken "$port" || fail "port $port is in use by another program; stop that one and try again"
  done
}

describe() {
  cat <<TEXT
Weir listens on     http://127.0.0.1:$listen_port      try: curl http://127.0.0.1:$listen_port/echo
its admin port is   http://127.0.0.1:$admin_port      try: curl http://127.0.0.1:$admin_port/metrics
its backends are    ${backend_ports[*]/#/127.0.0.1:}
configuration       config.yaml; logs in run/; ./start.sh stop ends it
TEXT
}

start_all() {
  local weir_pid missing
  if weir_pid=$(running_pid weir); then
    mapfile -t missing < <(missing_backends)
    check_ports "${missing[@]}"
    start_backends "${missing[@]}"
    echo "Weir is already running (process $weir_pid)${missing[*]:+; started again: ${missing[*]/#/backend-}}"
  else
    # Backends without their Weir are left over from a run that died.
    for name in $(names); do end "$name" 2 || true; done
    check_ports "$listen_port" "$admin_port" "${backend_ports[@]}"
    tools/setup build 9>&- || exit 1
    build
    check_ports "$listen_port" "$admin_port" "${backend_ports[@]}"
    start_backends "${backend_ports[@]}"
    start weir "$bin/weir" run -f "$root/config.yaml"
    wait_for weir "http://127.0.0.1:$admin_port/readyz"
  fi
  started=()
  describe
}

main() {
  [[ $# -le 1 && ${1:-start} =~ ^(start|stop)$ ]] || { echo "usage: ./start.sh [stop]" >&2; exit 2; }
  mkdir -p "$run"
  exec 9>"$run/lock"
  flock -n 9 || fail "another ./start.sh is at work; try again when it has ended"
  if [[ ${1:-start} == stop ]]; then
    stop_all
    return
  fi
  trap undo EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  start_all
}

main "$@"
