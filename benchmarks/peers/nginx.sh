#!/usr/bin/env bash
# nginx. nginx_system.sh sources it and sets what differs there.
source "$(dirname "$(readlink -f "$0")")/common.sh"

program=$root/usr/sbin/nginx

print_program() { print_loaded "$program" "$@"; }

version() {
  need "$program"
  loaded "$program" -v 2>&1
  openssl_version
}

servers() {
  local weights address at=0
  read -ra weights <<<"$LAB_WEIGHTS"
  for address in $LAB_BACKENDS; do echo "    server $address weight=${weights[$((at++))]};"; done
}

upstream() { # NAME
  cat <<END
  upstream $1 {
$(servers)
    keepalive 512;
    keepalive_requests 100000000;
  }
END
}

tls() {
  [[ -n $LAB_TLS_CERT ]] || return 0
  echo "ssl_protocols TLSv1.2 TLSv1.3;" # the default from 1.23.4 on
  echo "ssl_certificate $LAB_TLS_CERT; ssl_certificate_key $LAB_TLS_KEY; ssl_session_cache shared:tls:10m;"
}

# How HTTP/2 is switched on: a word of `listen`, or a directive.
http2_word=''
http2_directive='http2 on;'

listen() { echo "listen 127.0.0.1:$LAB_PORT${LAB_TLS_CERT:+ ssl}$([[ $LAB_FRONT != h2 ]] || echo "$http2_word")"; }

# What every server block listens with.
common_lines() {
  cat <<END
    $(listen);
    $([[ $LAB_FRONT != h2 ]] || echo "$http2_directive http2_max_concurrent_streams 1000;")
    $(tls)
END
}

sites() {
  if [[ -z $LAB_ROUTES ]]; then
    upstream app
    printf '  server {\n%s\n    location / { proxy_pass http://app; }\n  }\n' "$(common_lines)"
    return
  fi
  local number
  for number in $(awk '{print $3}' "$LAB_ROUTES" | sort -u); do upstream "c$number"; done
  awk -v listen="$(listen)" '
    $1 != host { if (host) print "  }"; host = $1; print "  server { " listen "; server_name " $1 ";" }
    { print "    location " $2 " { proxy_pass http://c" $3 "; }" }
    END { print "  }" }' "$LAB_ROUTES"
}

make_command() {
  need "$program"
  mkdir -p "$LAB_DIR/tmp"
  cat >"$LAB_DIR/nginx.conf" <<END
daemon off;
user root;
worker_processes $LAB_WORKERS;
worker_rlimit_nofile 65536;
pid $LAB_DIR/nginx.pid;
error_log $LAB_DIR/error.log crit;
events { worker_connections $((LAB_CONNECTIONS * 9 / 8 + 1000)); }
http {
  access_log off;
  client_body_temp_path $LAB_DIR/tmp/body;
  proxy_temp_path $LAB_DIR/tmp/proxy;
  fastcgi_temp_path $LAB_DIR/tmp/fastcgi;
  uwsgi_temp_path $LAB_DIR/tmp/uwsgi;
  scgi_temp_path $LAB_DIR/tmp/scgi;
  server_names_hash_max_size 16384;
  server_names_hash_bucket_size 128;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  proxy_http_version $([[ $LAB_BACK == h2 ]] && echo 2 || echo 1.1);
  proxy_set_header Connection "";
  proxy_set_header Host \$host;
  proxy_set_header X-Forwarded-For \$remote_addr;
  proxy_set_header X-Forwarded-Proto \$scheme;
  proxy_set_header X-Forwarded-Host \$host;
  proxy_set_header X-Request-Id \$request_id;
  add_header X-Request-Id \$request_id;
  proxy_max_temp_file_size 0;
$([[ -z $LAB_BIG ]] || echo '  proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k;')
$(sites)
}
END
  sed -i "s/^user root;/$([[ $(id -u) == 0 ]] && echo 'user root;')/" "$LAB_DIR/nginx.conf"
  print_program -p "$LAB_DIR" -c "$LAB_DIR/nginx.conf" -e "$LAB_DIR/error.log"
}

reload() { echo HUP; }

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
