#!/usr/bin/env bash
# Envoy.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=${LAB_PEERS:-$HOME/.cache/weir-peers}/envoy/envoy

version() {
  need "$program"
  "$program" --version | grep -o 'version: .*' | cut -d/ -f2-3
  echo "BoringSSL"
}

endpoints() {
  local weights address at=0
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do
    echo "        - load_balancing_weight: ${weights[$((at++))]}"
    echo "          endpoint: {address: {socket_address: {address: ${address%:*}, port_value: ${address##*:}}}}"
  done
}

tls() {
  [[ -n $LAB_TLS_CERT ]] || return 0
  cat <<END
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [$([[ $LAB_FRONT == h2 ]] && echo h2 || echo http/1.1)]
            tls_certificates:
            - certificate_chain: {filename: $LAB_TLS_CERT}
              private_key: {filename: $LAB_TLS_KEY}
END
}

http2_upstream() {
  [[ $LAB_BACK == h2 ]] || return 0
  cat <<END
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
END
}

hosts() {
  if [[ -z $LAB_ROUTES ]]; then
    echo '            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}'
    return
  fi
  awk '
    $1 != host { host = $1; print "            - name: " $1 "\n              domains: [" $1 "]\n              routes:" }
    { print "              - {match: {prefix: " $2 "}, route: {cluster: c" $3 "}}" }' "$LAB_ROUTES"
}

cluster() { # NAME
  cat <<END
  - name: $1
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}
$(http2_upstream)
    load_assignment:
      cluster_name: $1
      endpoints:
      - lb_endpoints:
$(endpoints)
END
}

clusters() {
  local name
  if [[ -z $LAB_ROUTES ]]; then
    cluster app
  else
    for name in $(awk '{print "c" $3}' "$LAB_ROUTES" | sort -u); do cluster "$name"; done
  fi
}

make_command() {
  need "$program"
  cat >"$LAB_DIR/envoy.yaml" <<END
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: $LAB_PORT}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          codec_type: $([[ $LAB_FRONT == h2 ]] && echo HTTP2 || echo HTTP1)
          use_remote_address: true
          generate_request_id: true
          always_set_request_id_in_response: true
          http2_protocol_options: {max_concurrent_streams: 1000}
          route_config:
            virtual_hosts:
$(hosts)
          http_filters:
          - name: router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
$(tls)
  clusters:
$(clusters)
END
  print_words "$program" -c "$LAB_DIR/envoy.yaml" --concurrency "$LAB_WORKERS" --base-id "$LAB_PORT" -l error
}

main "$@"
