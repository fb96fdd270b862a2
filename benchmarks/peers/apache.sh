#!/usr/bin/env bash
# Apache httpd with its event MPM. h2 to the backends needs a module that Debian's package marks as experimental.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=$root/usr/sbin/apache2
modules=$root/usr/lib/apache2/modules

version() {
  need "$program"
  loaded "$program" -v | sed -n 1p | cut -d' ' -f3
  openssl_version
}

load_modules() {
  local module
  for module in mpm_event authz_core headers proxy proxy_http proxy_balancer lbmethod_byrequests slotmem_shm \
    unique_id http2 proxy_http2 socache_shmcb ssl; do
    [[ ! -e $modules/mod_$module.so ]] || echo "LoadModule ${module}_module $modules/mod_$module.so"
  done
}

members() {
  local weights address at=0 scheme=http
  [[ $LAB_BACK != h2 ]] || scheme=h2c
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do
    echo "  BalancerMember $scheme://$address loadfactor=${weights[$((at++))]}"
  done
}

tls() {
  [[ -n $LAB_TLS_CERT ]] || return 0
  printf 'SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s\n' "$LAB_TLS_CERT" "$LAB_TLS_KEY"
}

balancer() { # NAME
  printf '<Proxy balancer://%s>\n%s\n</Proxy>\n' "$1" "$(members)"
}

sites() {
  if [[ -z $LAB_ROUTES ]]; then
    balancer app
    echo "ProxyPass / balancer://app/"
    return
  fi
  local number
  for number in $(awk '{print $3}' "$LAB_ROUTES" | sort -u); do balancer "c$number"; done
  awk -v port="$LAB_PORT" '
    $1 != host { if (host) print "</VirtualHost>"; host = $1; print "<VirtualHost *:" port ">\n  ServerName " $1 }
    { print "  ProxyPass " $2 " balancer://c" $3 $2 }
    END { print "</VirtualHost>" }' "$LAB_ROUTES"
}

make_command() {
  need "$program"
  cat >"$LAB_DIR/apache.conf" <<END
ServerRoot $LAB_DIR
ServerName localhost
DefaultRuntimeDir $LAB_DIR
PidFile $LAB_DIR/apache.pid
ErrorLog $LAB_DIR/error.log
LogLevel crit
$(load_modules)
StartServers 1
ServerLimit $LAB_WORKERS
ThreadsPerChild 256
ThreadLimit 256
MaxRequestWorkers $((LAB_WORKERS * 256))
AsyncRequestWorkerFactor 64
MaxKeepAliveRequests 0
KeepAliveTimeout 600
Listen 127.0.0.1:$LAB_PORT
Protocols $(if [[ $LAB_FRONT != h2 ]]; then echo http/1.1; elif [[ -n $LAB_TLS_CERT ]]; then echo h2; else echo h2c; fi)
H2MaxSessionStreams 1000
$(tls)
ProxyPreserveHost On
RequestHeader set X-Request-Id %{UNIQUE_ID}e
RequestHeader set X-Forwarded-Proto $([[ -n $LAB_TLS_CERT ]] && echo https || echo http)
Header set X-Request-Id %{UNIQUE_ID}e
$(sites)
END
  [[ $(id -u) != 0 ]] || printf 'User nobody\nGroup nogroup\n' >>"$LAB_DIR/apache.conf"
  print_loaded "$program" -f "$LAB_DIR/apache.conf" -D FOREGROUND
}

reload() { echo USR1; }

main "$@"
