#!/usr/bin/env bash
# nginx of this machine's own Debian release, with this machine's own OpenSSL, configured as nginx.sh does it.
source "$(dirname "$(readlink -f "$0")")/nginx.sh"

program=${LAB_PEERS:-$HOME/.cache/weir-peers}/system/usr/sbin/nginx

print_program() { print_words "$program" "$@"; }

version() {
  need "$program"
  "$program" -v 2>&1
  # "built with OpenSSL 3.0.15 … (running with OpenSSL 3.0.22 …)"; where both are the same it says the first alone.
  echo "over TLS with this machine's own $("$program" -V 2>&1 | grep -o 'OpenSSL [^ ]*' | tail -n 1)"
}

# at_least VERSION: this nginx is of that version or newer.
at_least() {
  local own
  own=$("$program" -v 2>&1 | grep -o '[0-9.]*$')
  [[ $(printf '%s\n' "$1" "$own" | sort -V | sed -n 1p) == "$1" ]]
}

command_here() {
  need "$program"
  if [[ $LAB_BACK == h2 ]] && ! at_least 1.29.4; then
    cannot "$("$program" -v 2>&1 | grep -o 'nginx/.*') speaks no HTTP/2 to backends: nginx does from 1.29.4 on"
  fi
  if ! at_least 1.25.1; then http2_word=' http2' http2_directive=''; fi
  make_command
}

case ${1:-} in
  command) command_here ;;
  *) main "$@" ;;
esac
