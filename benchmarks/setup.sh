#!/usr/bin/env bash
# Installs the Debian packages that the benchmark lab needs and that are missing. With nothing missing it says nothing.
exec "$(dirname "$(readlink -f "$0")")/../tools/setup" benchmarks
