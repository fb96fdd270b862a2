#!/usr/bin/env bash
# HAProxy.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=$root/usr/sbin/haproxy

version() {
  need "$program"
  loaded "$program" -v | sed -n 1p | cut -d' ' -f1-3
  openssl_version
}

bind_options() {
  if [[ -n $LAB_TLS_CERT ]]; then
    cat "$LAB_TLS_CERT" "$LAB_TLS_KEY" >"$LAB_DIR/both.pem"
    echo " ssl crt $LAB_DIR/both.pem alpn $([[ $LAB_FRONT == h2 ]] && echo h2 || echo http/1.1)"
  elif [[ $LAB_FRONT == h2 ]]; then
    echo " proto h2"
  fi
}

servers() {
  local weights address at=0
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do
    echo "  server s$at $address weight ${weights[$((at++))]}$([[ $LAB_BACK != h2 ]] || echo ' proto h2')$(
      [[ -z $LAB_HEALTH ]] || echo ' check inter 1s fall 1 rise 1')"
  done
}

backends() {
  local number name
  for number in ${LAB_ROUTES:+$(awk '{print $3}' "$LAB_ROUTES" | sort -u)}; do
    printf 'backend c%s\n%s\n' "$number" "$(servers)"
  done
  [[ -z $LAB_ROUTES ]] || return 0
  echo 'backend app'
  [[ -z $LAB_HEALTH ]] || echo '  option httpchk GET /health'
  servers
}

chosen_backend() {
  if [[ -n $LAB_ROUTES ]]; then
    echo "use_backend %[base,map_beg($LAB_DIR/routes.map)]"
  else
    echo default_backend app
  fi
}

make_command() {
  need "$program"
  if [[ -n $LAB_ROUTES ]]; then awk '{print $1 $2 " c" $3}' "$LAB_ROUTES" >"$LAB_DIR/routes.map"; fi
  cat >"$LAB_DIR/haproxy.cfg" <<END
global
  nbthread $LAB_WORKERS
  maxconn $((LAB_CONNECTIONS + 100))
  no strict-limits
  tune.h2.fe.max-concurrent-streams 1000
  # Else it closes idle connections to the backends as soon as a quarter of its descriptors is in use.
  tune.pool-low-fd-ratio 100
  tune.pool-high-fd-ratio 100
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  http-reuse always
  default-server pool-purge-delay 10m
  option forwardfor
$([[ -z $LAB_BIG ]] || echo '  option splice-auto')
  no log
frontend web
  bind 127.0.0.1:$LAB_PORT$(bind_options)
  unique-id-format %[uuid()]
  unique-id-header x-request-id
  http-request set-header x-forwarded-proto $([[ -n $LAB_TLS_CERT ]] && echo https || echo http)
  http-request set-header x-forwarded-host %[req.hdr(host)]
  http-response set-header x-request-id %[unique-id]
  $(chosen_backend)
$(backends)
END
  print_loaded "$program" -db -f "$LAB_DIR/haproxy.cfg"
}

# Its way: a new process binds the same port and tells the old one to finish.
reload() { print_loaded "$program" -db -f "$LAB_DIR/haproxy.cfg" -sf "$LAB_PID"; }

main "$@"
