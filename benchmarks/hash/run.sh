#!/usr/bin/env bash
# Measures the three servers of the /hash workload, each alone in turn; --help says what it does.
set -euo pipefail

root=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
exec "$root/benchmarks/lab/start" hash "$@"
