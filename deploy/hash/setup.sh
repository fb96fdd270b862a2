#!/usr/bin/env bash
# Brings the /hash servers, Weir, k6's operator, Prometheus and Grafana to a cluster, and runs k6 there.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
root=$(readlink -f "$here/../..")
names=(cpp go rust weir)
cluster=weir-hash
# Give each build a tag of its own where nodes keep images: they would go on with an old `latest`.
tag=${HASH_TAG:-latest}
prometheus_charts=${PROMETHEUS_CHARTS:-https://prometheus-community.github.io/helm-charts}
grafana_charts=${GRAFANA_CHARTS:-https://grafana.github.io/helm-charts}

usage() {
  cat >&2 <<END
usage: deploy/hash/setup.sh kind                    a cluster of containers on this machine, with everything in it
       deploy/hash/setup.sh images PREFIX           builds the images and pushes them as PREFIX/weir-hash-NAME
       deploy/hash/setup.sh cluster PREFIX          everything into the cluster of \$KUBECONFIG, with those images
       deploy/hash/setup.sh run cpp|go|rust|weir    one ramp of k6; waits for its end
       deploy/hash/setup.sh grafana                 the dashboard on http://127.0.0.1:3000 until Ctrl-C
       deploy/hash/setup.sh down                    takes away what was brought; with kind, the cluster
\$HASH_TAG tags the images (default: latest); \$USERS, \$UP, \$HOLD, \$DOWN change a ramp.
END
  exit 2
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null && continue
    echo "setup: $tool is missing; docs/hash.md says where it comes from" >&2
    exit 1
  done
}

build_images() {
  local name
  for name in "${names[@]}"; do
    docker build -f "$here/Dockerfile" --target "$name" -t "weir-hash-$name:$tag" "$root"
  done
}

# The manifests with the images of this run: $1 is their prefix, empty for those that the nodes have.
apply_manifests() {
  local file
  for file in servers weir; do
    sed -E "s#image: (weir-hash-[a-z]+):latest#image: $1\1:$tag#" "$here/$file.yaml" | kubectl apply -f -
  done
}

apply_file() { # NAMESPACE NAME KEY FILE
  kubectl create configmap "$2" -n "$1" --from-file="$3=$4" --dry-run=client -o yaml | kubectl apply -f -
}

install_charts() {
  helm repo add prometheus-community "$prometheus_charts" --force-update
  helm repo add grafana "$grafana_charts" --force-update
  helm upgrade --install k6-operator grafana/k6-operator -n k6-operator --create-namespace --wait
  helm upgrade --install prometheus prometheus-community/prometheus -n monitoring --create-namespace \
    -f "$here/prometheus-values.yaml" --wait
  apply_file monitoring hash-dashboard dashboard.json "$here/dashboard.json"
  helm upgrade --install grafana grafana/grafana -n monitoring -f "$here/grafana-values.yaml" --wait
}

deploy() {
  apply_manifests "$1"
  apply_file hash hash-ramp ramp.js "$root/benchmarks/hash/ramp.js"
  install_charts
  local name
  for name in "${names[@]}"; do kubectl rollout status -n hash "deployment/hash-$name" --timeout=180s; done
}

make_kind() {
  need docker kind kubectl helm
  kind get clusters | grep -qx "$cluster" || kind create cluster --config "$here/kind.yaml"
  build_images
  local name
  for name in "${names[@]}"; do kind load docker-image --name "$cluster" "weir-hash-$name:$tag"; done
  kubectl config use-context "kind-$cluster"
  deploy ""
}

push_images() {
  need docker
  build_images
  local name
  for name in "${names[@]}"; do
    docker tag "weir-hash-$name:$tag" "$1/weir-hash-$name:$tag"
    docker push "$1/weir-hash-$name:$tag"
  done
}

# The ramp as its file has it, but for what the environment says otherwise.
test_run() {
  local script="" name
  for name in USERS UP HOLD DOWN; do
    if [[ -n ${!name:-} ]]; then script+="s/\{name: $name, value: [^}]*\}/{name: $name, value: \"${!name}\"}/;"; fi
  done
  sed -E "$script" "$here/testruns/$1.yaml"
}

run_ramp() {
  need kubectl
  kubectl delete testrun "hash-$1" -n hash --ignore-not-found --wait
  test_run "$1" | kubectl apply -f -
  kubectl wait testrun "hash-$1" -n hash --for=jsonpath='{.status.stage}'=finished --timeout="${RUN_TIMEOUT:-40m}"
  kubectl logs -n hash -l "k6_cr=hash-$1,runner=true" --tail=5
}

take_down() {
  if command -v kind >/dev/null && kind get clusters | grep -qx "$cluster"; then
    kind delete cluster --name "$cluster"
    return
  fi
  need kubectl helm
  kubectl delete namespace hash --ignore-not-found
  helm uninstall grafana -n monitoring --ignore-not-found
  helm uninstall prometheus -n monitoring --ignore-not-found
  helm uninstall k6-operator -n k6-operator --ignore-not-found
}

is_name() {
  local name
  for name in "${names[@]}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

main() {
  case ${1:-}:$# in
    kind:1) make_kind ;;
    images:2) push_images "${2%/}" ;;
    cluster:2) need kubectl helm && deploy "${2:+${2%/}/}" ;;
    run:2) is_name "$2" || usage; run_ramp "$2" ;;
    grafana:1) need kubectl && kubectl port-forward -n monitoring service/grafana 3000:80 ;;
    down:1) take_down ;;
    *) usage ;;
  esac
}

main "$@"
