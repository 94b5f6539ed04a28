# The cluster as a Docker container, made by kind. Sourced, never run.

kind_works() { command -v docker > /dev/null && command -v kind > /dev/null && docker info > /dev/null 2>&1; }
kind_is_up() { kind get clusters 2> /dev/null | grep -qx $CLUSTER; }
kind_node_pid() { docker inspect --format '{{.State.Pid}}' $CLUSTER-control-plane; }

kind_up() {
  if kind_is_up; then
    say "the cluster is up already"
    return
  fi
  local helm
  helm=$(helm_path)
  mkdir -p "$STATE/bin"
  ln -sf "$helm" "$STATE/bin/helm"
  command -v kubectl > /dev/null || { kube=$(module kube node); ln -sf "$kube" "$STATE/bin/kubectl"; }
  kind create cluster --name $CLUSTER --kubeconfig "$STATE/admin.conf" --wait 120s
  # Inside the node's network namespace the API server is at its own port, not at the one that Docker publishes.
  sed 's|server: .*|server: https://127.0.0.1:6443|' "$STATE/admin.conf" > "$STATE/node.conf"
}

kind_down() {
  ! kind_is_up || kind delete cluster --name $CLUSTER --kubeconfig "$STATE/admin.conf"
  rm -rf --one-file-system "${STATE:?}"
}

kind_load() { kind load image-archive "$1" --name $CLUSTER; }

kind_exec() {
  if [ "$(id -u)" = 0 ]; then
    KUBECONFIG=$STATE/node.conf exec nsenter --net="/proc/$(kind_node_pid)/ns/net" -- "$@"
  fi
  # Without root the API server is reachable, but pods only by `kubectl port-forward`.
  KUBECONFIG=$STATE/admin.conf exec "$@"
}
