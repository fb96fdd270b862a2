#!/usr/bin/env bash
# Traefik. It has no field with an id of the request; the x-forwarded-* it sets by itself.
source "$(dirname "$(readlink -f "$0")")/common.sh"

folder=${LAB_PEERS:-$HOME/.cache/weir-peers}/traefik
program=$folder/traefik

version() {
  need "$program"
  cat "$folder/version"
  echo "Go's TLS"
}

servers() {
  local weights address at=0 scheme=http
  [[ $LAB_BACK != h2 ]] || scheme=h2c
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do echo "        - {url: \"$scheme://$address\", weight: ${weights[$((at++))]}}"; done
}

service() { # NAME
  cat <<END
    $1:
      loadBalancer:
$([[ -z $LAB_HEALTH ]] || echo '        healthCheck: {path: /health, interval: 1s, timeout: 500ms}')
        servers:
$(servers)
END
}

routers() {
  if [[ -z $LAB_ROUTES ]]; then
    echo '    all: {rule: "PathPrefix(`/`)", service: app}'
  else
    awk '{ print "    r" NR ": {rule: \"Host(`" $1 "`) && PathPrefix(`" $2 "`)\", service: c" $3 "}" }' "$LAB_ROUTES"
  fi
}

services() {
  local name
  if [[ -z $LAB_ROUTES ]]; then
    service app
  else
    for name in $(awk '{print "c" $3}' "$LAB_ROUTES" | sort -u); do service "$name"; done
  fi
}

tls() {
  [[ -n $LAB_TLS_CERT ]] || return 0
  cat <<END
tls:
  certificates: [{certFile: $LAB_TLS_CERT, keyFile: $LAB_TLS_KEY}]
  options: {default: {alpnProtocols: [$([[ $LAB_FRONT == h2 ]] && echo h2 || echo http/1.1)]}}
END
}

make_command() {
  need "$program"
  cat >"$LAB_DIR/dynamic.yaml" <<END
http:
  routers:
$(routers)
  services:
$(services)
$(tls)
END
  cat >"$LAB_DIR/traefik.yaml" <<END
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: ERROR}
entryPoints:
  web:
    address: 127.0.0.1:$LAB_PORT
    transport: {respondingTimeouts: {idleTimeout: 600s}}
    http2: {maxConcurrentStreams: 1000}
$([[ -z $LAB_TLS_CERT ]] || echo '    http: {tls: {}}')
serversTransport: {maxIdleConnsPerHost: 1024}
providers: {file: {filename: $LAB_DIR/dynamic.yaml, watch: false}}
END
  print_words /usr/bin/env GOMAXPROCS="$LAB_WORKERS" "$program" --configFile="$LAB_DIR/traefik.yaml"
}

main "$@"
