#!/usr/bin/env bash
# Pingora is a library: peers/pingora is the smallest load balancer over it. It reads the lab's variables itself.
source "$(dirname "$(readlink -f "$0")")/common.sh"

folder=${LAB_PEERS:-$HOME/.cache/weir-peers}/pingora
program=$folder/pingora

version() {
  need "$program"
  cat "$folder/version"
  if [[ -x $loader ]]; then echo "over TLS with $(openssl_version)"; fi
}

make_command() {
  need "$program"
  [[ -z $LAB_ROUTES ]] || cannot "it has no configuration to hold routes"
  if [[ -n $LAB_TLS_CERT && -x $loader ]]; then print_loaded "$program"; else print_words "$program"; fi
}

main "$@"
