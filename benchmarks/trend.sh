#!/usr/bin/env bash
# --help says what it measures.
exec "$(dirname "$(readlink -f "$0")")/lab/start" trend "$@"
