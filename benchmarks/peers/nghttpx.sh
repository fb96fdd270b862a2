#!/usr/bin/env bash
# nghttpx.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=$root/usr/sbin/nghttpx

version() {
  need "$program"
  loaded "$program" --version
  openssl_version
}

make_command() {
  need "$program"
  {
    echo "frontend=127.0.0.1,$LAB_PORT$([[ -n $LAB_TLS_CERT ]] || echo ';no-tls')"
    local address proto="" host prefix number
    [[ $LAB_BACK != h2 ]] || proto=';proto=h2'
    for address in $LAB_BACKENDS; do
      if [[ -n $LAB_ROUTES ]]; then
        awk -v to="${address%:*},${address##*:}" -v proto="$proto" '{print "backend=" to ";" $1 $2 proto}' "$LAB_ROUTES"
      fi
      echo "backend=${address%:*},${address##*:};/$proto"
    done
    cat <<END  # a single process can't load its configuration anew
workers=$LAB_WORKERS
single-process=$([[ -n $LAB_ROUTES ]] && echo no || echo yes)
no-via=yes
add-x-forwarded-for=yes
backend-keep-alive-timeout=100s
frontend-keep-alive-timeout=600s
frontend-http2-idle-timeout=600s
frontend-http2-max-concurrent-streams=1000
accesslog-file=/dev/null
errorlog-file=$LAB_DIR/error.log
END
    if [[ -n $LAB_TLS_CERT ]]; then
      echo "private-key-file=$LAB_TLS_KEY"
      echo "certificate-file=$LAB_TLS_CERT"
      [[ $LAB_FRONT == h2 ]] || echo "alpn-list=http/1.1"
    fi
  } >"$LAB_DIR/nghttpx.conf"
  print_loaded "$program" --conf="$LAB_DIR/nghttpx.conf"
}

reload() { echo HUP; }

main "$@"
