#!/usr/bin/env bash
# Measures Weir beside its peers with every script of benchmarks/ and leaves a report; --help says more.
exec "$(dirname "$(readlink -f "$0")")/benchmarks/lab/start" run "$@"
