#!/usr/bin/env bash
# serve.sh cpp|go|rust ADDRESS: builds that server of the /hash workload if need be and serves in the foreground.
set -euo pipefail

root=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")

usage() {
  echo "usage: benchmarks/hash/serve.sh cpp|go|rust ADDRESS      (ADDRESS is host:port)" >&2
  exit 2
}

(($# == 2)) || usage
address=$2
[[ $address =~ ^[^:]+:[0-9]+$|^\[[0-9a-fA-F:]+\]:[0-9]+$ ]] || usage
case $1 in
  cpp) command=("$root/build/release/weir-backend" --listen "$address" --workers auto) ;;
  go) command=("$root/build/hash/hash-go" -listen "$address") ;;
  rust) command=("$root/build/hash/rust/release/hash-rust" --listen "$address") ;;
  *) usage ;;
esac
"$root/benchmarks/hash/build.sh" "$1"
exec "${command[@]}"
