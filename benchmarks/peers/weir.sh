#!/usr/bin/env bash
# Weir. Over TLS it runs with the peers' OpenSSL where they have been set up, so that all use the same; with
# --system-openssl it takes this machine's own.
source "$(dirname "$(readlink -f "$0")")/common.sh"

with_peers_openssl() { [[ -z ${LAB_SYSTEM_OPENSSL:-} && -x $loader ]]; }

version() {
  "$LAB_WEIR" version
  if with_peers_openssl; then
    echo "over TLS with the peers' OpenSSL, $(openssl_version)"
  else
    echo "over TLS with this machine's own $(system_openssl_version)"
  fi
}

tls() {
  [[ -n $LAB_TLS_CERT ]] || return 0
  printf '\n    tls: {certificates: [{cert: %s, key: %s}]}' "$LAB_TLS_CERT" "$LAB_TLS_KEY"
}

backend_list() {
  local weights address at=0
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do
    echo "      - {name: backend-${address##*:}, url: \"http://$address\", weight: ${weights[$((at++))]}}"
  done
}

cluster() { # NAME
  cat <<END
  - name: $1
    balance: round_robin
    protocol: $([[ $LAB_BACK == h2 ]] && echo http2 || echo http1)
$([[ -z $LAB_HEALTH ]] || echo "    health_check: {type: http, path: /health, interval: 1s, timeout: 500ms}")
    backends:
$(backend_list)
END
}

routes() {
  if [[ -z $LAB_ROUTES ]]; then
    echo "  - cluster: app"
  else
    awk '{printf "  - {match: {host: %s, path_prefix: %s}, cluster: c%s}\n", $1, $2, $3}' "$LAB_ROUTES"
  fi
}

clusters() {
  if [[ -z $LAB_ROUTES ]]; then
    cluster app
  else
    local number
    for number in $(awk '{print $3}' "$LAB_ROUTES" | sort -u); do cluster "c$number"; done
  fi
}

make_command() {
  cat >"$LAB_DIR/weir.yaml" <<END
workers: $LAB_WORKERS
admin: {address: 127.0.0.1:$LAB_ADMIN_PORT}
log: {level: warn}
listeners:
  - name: web
    address: 127.0.0.1:$LAB_PORT
    limits: {idle_timeout: 10m$([[ $LAB_FRONT != h2 ]] || echo ", concurrent_streams: 1000")}$(tls)
clusters:
$(clusters)
routes:
$(routes)
END
  local error
  if ! error=$("$LAB_WEIR" check -f "$LAB_DIR/weir.yaml" 2>&1); then cannot "$(sed -n 1p <<<"$error")"; fi
  if [[ -n $LAB_TLS_CERT ]] && with_peers_openssl; then
    print_loaded "$LAB_WEIR" run -f "$LAB_DIR/weir.yaml"
  else
    print_words "$LAB_WEIR" run -f "$LAB_DIR/weir.yaml"
  fi
}

reload() { echo HUP; }

main "$@"
