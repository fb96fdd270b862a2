#!/usr/bin/env bash
# Caddy.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=$root/usr/bin/caddy

version() {
  need "$program"
  echo "caddy $(package_version caddy)"
  echo "Go's TLS"
}

proxy() { # what stands in every place that forwards
  local address
  echo "reverse_proxy $LAB_BACKENDS {"
  echo "  lb_policy round_robin"
  if [[ -n $LAB_HEALTH ]]; then printf '  health_uri /health\n  health_interval 1s\n'; fi
  printf '  transport http {\n    keepalive_idle_conns_per_host 1024\n'
  [[ $LAB_BACK != h2 ]] || echo '    versions h2c'
  printf '  }\n}\n'
}

make_command() {
  need "$program"
  [[ -z $LAB_ROUTES ]] || cannot "a Caddyfile of 10,000 routes takes it half a minute to read"
  local scheme=http protocols=h1
  [[ -z $LAB_TLS_CERT ]] || scheme=https
  if [[ $LAB_FRONT == h2 ]]; then [[ -n $LAB_TLS_CERT ]] && protocols="h1 h2" || protocols="h1 h2c"; fi
  cat >"$LAB_DIR/Caddyfile" <<END
{
  admin off
  auto_https off
  persist_config off
  log {
    level ERROR
  }
  servers {
    protocols $protocols
  }
}
$scheme://:$LAB_PORT {
  bind 127.0.0.1
  $([[ -z $LAB_TLS_CERT ]] || echo "tls $LAB_TLS_CERT $LAB_TLS_KEY")
  header X-Request-Id {http.request.uuid}
  request_header X-Request-Id {http.request.uuid}
  $(proxy)
}
END
  print_words /usr/bin/env GOMAXPROCS="$LAB_WORKERS" HOME="$LAB_DIR" "$program" run --adapter caddyfile \
    --config "$LAB_DIR/Caddyfile"
}

main "$@"
