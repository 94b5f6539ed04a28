# A real one-node cluster without Docker: the Kubernetes parts, etcd and containerd as processes in mount, network and
# process namespaces of their own. Everything of it dies with the first process of the process namespace, and every mount
# with the mount namespace; on the machine itself only $STATE, two empty cgroups and a few mount points remain to be removed.
# Sourced, never run.

NODE_IP=10.250.0.1
SERVICES=10.96.0.0/16
PODS=10.244.0.0/24
PAUSE_IMAGE=localhost/pause:1
# What the parts write at fixed paths; in the node's mount namespace each is a directory below $STATE.
PRIVATE_DIRS=(/var/lib/kubelet /var/lib/cni /var/lib/containerd /var/log/pods /var/log/containers)

node_pid() { recorded "$STATE/node.pid"; }
inside() { nsenter --target "$(node_pid)" --mount --net --pid -- "$@"; }
in_network() { nsenter --net="/proc/$(node_pid)/ns/net" -- "$@"; }
kubectl_here() { in_network "$STATE/bin/kubectl" --kubeconfig="$STATE/admin.conf" "$@"; }

node_check_machine() {
  local missing=() program package
  for program in containerd:containerd containerd-shim-runc-v2:containerd runc:runc ctr:containerd iptables:iptables conntrack:conntrack \
    openssl:openssl ip:iproute2 nsenter:util-linux mount:mount; do
    package=${program#*:}
    command -v "${program%%:*}" > /dev/null || missing+=("$package")
  done
  [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing+=(containernetworking-plugins)
  [ ${#missing[@]} = 0 ] || die "missing here: $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')(Debian: apt-get install them)"
  local cgroup
  for cgroup in $(kube_cgroups); do
    [ -z "$(find "$cgroup" -name cgroup.procs -exec cat {} + 2> /dev/null)" ] || die "another kubelet runs pods on this machine ($cgroup): one node a machine"
  done
}
kube_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods; }

# ---- the namespaces

# Runs as the first process in the new namespaces; $STATE/bin/pause takes its place when all is mounted.
node_init() {
  local dir
  # If `up` was ended before it recorded this process, nobody would ever end it.
  for _ in $(seq 50); do [ ! -s "$STATE/unshare.pid" ] || break; sleep 0.1; done
  [ -s "$STATE/unshare.pid" ] || die "not recorded by e2e/cluster up"
  mount -t tmpfs tmpfs /run
  # A fresh sysfs shows this network namespace's devices; the cgroups are carried over into it.
  mkdir -p "$STATE/cgroup"
  mount --rbind /sys/fs/cgroup "$STATE/cgroup"
  mount -t sysfs sysfs /sys
  mount --rbind "$STATE/cgroup" /sys/fs/cgroup
  umount --lazy "$STATE/cgroup"
  for dir in "${PRIVATE_DIRS[@]}"; do
    mkdir -p "$STATE/private$dir"
    mount --bind "$STATE/private$dir" "$dir"
  done
  mount --make-rshared /

  ip link set lo up
  # Kernels without a dummy device have bridges. kubelet and API server want an address and a default route.
  ip link add node0 type bridge
  ip address add "$NODE_IP/32" dev node0
  ip link set node0 up
  ip route add default dev node0
  echo 1 > /proc/sys/net/ipv4/ip_forward
  touch /run/node-is-set-up
  exec "$STATE/bin/pause"
}

node_namespaces() {
  local dir unshared pid
  for dir in "${PRIVATE_DIRS[@]}"; do
    while [ ! -d "$dir" ]; do # innermost missing parent first, so that `down` can remove them in reverse
      local missing=$dir
      while [ ! -d "$(dirname "$missing")" ]; do missing=$(dirname "$missing"); done
      mkdir "$missing"
      echo "$missing" >> "$STATE/made-dirs"
    done
  done
  setsid nohup unshare --mount --net --pid --fork --kill-child --mount-proc --propagation slave \
    bash "$E2E/cluster" node-init > "$STATE/logs/node.log" 2>&1 < /dev/null &
  unshared=$!
  record "$unshared" "$STATE/unshare.pid"
  for _ in $(seq 50); do
    read -r pid 2> /dev/null < "/proc/$unshared/task/$unshared/children" && [ -n "$pid" ] && break
    sleep 0.1
  done
  [ -n "${pid:-}" ] || { cat "$STATE/logs/node.log" >&2; die "cannot make namespaces here (unshare failed)"; }
  record "$pid" "$STATE/node.pid"
  until_ok 10 "the node's namespaces (log: $STATE/logs/node.log)" inside test -e /run/node-is-set-up || { cat "$STATE/logs/node.log" >&2; exit 1; }
}

run() { # NAME CMD…: starts a part of the node, its output in logs/NAME.log
  local name=$1
  shift
  setsid nohup nsenter --target "$(node_pid)" --mount --net --pid -- "$@" > "$STATE/logs/$name.log" 2>&1 < /dev/null &
  record $! "$STATE/$name.pid"
}

# ---- certificates and kubeconfigs: one authority, one certificate a role

cert() { # NAME SUBJECT NAMES
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 3650 \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") 2> /dev/null
}
node_certificates() {
  local user
  mkdir -p "$STATE/pki"
  (
    cd "$STATE/pki"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=kubernetes-ca 2> /dev/null
    openssl genrsa -out sa.key 2048 2> /dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
    cert apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$NODE_IP"
    cert admin /O=system:masters/CN=admin DNS:admin
    cert kubelet /O=system:nodes/CN=system:node:node-1 "DNS:node-1,IP:127.0.0.1,IP:$NODE_IP"
    cert front-proxy /CN=front-proxy-client DNS:front-proxy-client
  )
  for user in admin kubelet; do
    cat > "$STATE/$user.conf" << YAML
apiVersion: v1
kind: Config
clusters:
  - name: $CLUSTER
    cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$STATE/pki/ca.crt")}
users:
  - name: $user
    user: {client-certificate-data: $(base64 -w0 "$STATE/pki/$user.crt"), client-key-data: $(base64 -w0 "$STATE/pki/$user.key")}
contexts:
  - name: $CLUSTER
    context: {cluster: $CLUSTER, user: $user}
current-context: $CLUSTER
YAML
    chmod 0600 "$STATE/$user.conf"
  done
}

# ---- the parts

node_control_plane() {
  local pki=$STATE/pki bin=$STATE/bin
  # A test cluster is never recovered, so etcd need not wait for the disk.
  run etcd "$bin/etcd" --data-dir "$STATE/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
  run kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=$SERVICES \
    --advertise-address=$NODE_IP --bind-address=0.0.0.0 --authorization-mode=Node,RBAC --allow-privileged \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" --kubelet-certificate-authority="$pki/ca.crt" \
    --kubelet-preferred-address-types=InternalIP --enable-aggregator-routing \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
  until_ok 90 "the API server to be ready" kubectl_here get --raw /readyz || return 1
  run kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$STATE/admin.conf" --root-ca-file="$pki/ca.crt" \
    --service-account-private-key-file="$pki/sa.key" --cluster-cidr=$PODS --node-cidr-mask-size=24 --allocate-node-cidrs --leader-elect=false \
    --use-service-account-credentials
  run kube-scheduler "$bin/kube-scheduler" --kubeconfig="$STATE/admin.conf" --leader-elect=false
  run volume-provisioner "$bin/volume-provisioner" --kubeconfig="$STATE/admin.conf" --root="$STATE/volumes"
}

node_runtime() {
  local plugins=/usr/lib/cni
  [ -x $plugins/bridge ] || plugins=/opt/cni/bin
  mkdir -p "$STATE/cni" "$STATE/volumes"
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE (many sandboxes) runc cannot lower a score and dies.
  cat > "$STATE/containerd.toml" << TOML
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"] # it makes /opt/containerd
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "$STATE/cni"
TOML
  cat > "$STATE/cni/10-node.conflist" << JSON
{"cniVersion": "0.4.0", "name": "$CLUSTER", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  run containerd containerd --config "$STATE/containerd.toml"
  until_ok 30 "containerd to answer" inside ctr version || return 1
  inside ctr --namespace k8s.io images import "$STATE/pause.tar" > /dev/null || return 1
}

node_kubelet() {
  # cgroupfs and failCgroupV1: the node works where there is no systemd and where cgroups are of version 1.
  cat > "$STATE/kubelet.yaml" << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet.crt
tlsPrivateKeyFile: $STATE/pki/kubelet.key
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: /dev/null
volumePluginDir: $STATE/volume-plugins
imageMinimumGCAge: 240h
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
YAML
  run kubelet "$STATE/bin/kubelet" --config="$STATE/kubelet.yaml" --kubeconfig="$STATE/kubelet.conf" --hostname-override=node-1 \
    --node-ip=$NODE_IP --cert-dir="$STATE/kubelet-pki"
  # The conntrack settings belong to the machine, not to the namespace: 0 leaves them alone.
  run kube-proxy "$STATE/bin/kube-proxy" --kubeconfig="$STATE/admin.conf" --hostname-override=node-1 --cluster-cidr=$PODS --proxy-mode=iptables \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
  kubectl_here apply -f "$E2E/lib/storage-class.yaml" > /dev/null || return 1
  until_ok 60 "the node to be Ready" kubectl_here wait --for=condition=Ready node/node-1 --timeout=1s || return 1
  # Pods cannot be created before it is there.
  until_ok 30 "the default service account" kubectl_here get serviceaccount default || return 1
}

# ---- the commands

node_up() {
  [ "$(id -u)" = 0 ] || die "without Docker and kind the cluster's node runs as plain processes, which needs root: run it as root"
  if node_pid > /dev/null && kubectl_here wait --for=condition=Ready node/node-1 --timeout=5s > /dev/null 2>&1; then
    say "the cluster is up already"
    return
  fi
  [ ! -e "$STATE" ] || { say "a cluster that did not come up is in the way: taking it down"; node_down; }
  node_check_machine
  local kube etcd pause pause_tar helm started
  kube=$(module kube node)
  etcd=$(module etcd etcd)
  pause=$(module pause pause)
  pause_tar=$(image $PAUSE_IMAGE pause 65535)
  helm=$(helm_path)
  started=$SECONDS
  mkdir -p "$STATE/bin" "$STATE/logs"
  chmod 0755 "$STATE"
  for part in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl volume-provisioner; do ln -sf "$kube" "$STATE/bin/$part"; done
  ln -sf "$etcd" "$STATE/bin/etcd"
  ln -sf "$helm" "$STATE/bin/helm"
  ln -sf "$pause" "$STATE/bin/pause"
  cp "$pause_tar" "$STATE/pause.tar"
  node_namespaces
  node_certificates
  { node_control_plane && node_runtime && node_kubelet; } || {
    say "the cluster did not come up; last lines of its logs:"
    tail -n 5 "$STATE"/logs/*.log >&2
    die "not up (state and logs are kept in $STATE; \`e2e/cluster down\` removes them)"
  }
  say "a node is Ready after $((SECONDS - started)) s: e2e/cluster exec kubectl get nodes"
}

node_down() {
  local pid cgroup dir name
  # The kernel ends the namespace's first process with its parent, and with that one every process of the namespace.
  for name in "$STATE/unshare.pid" "$STATE/node.pid"; do pid=$(recorded "$name") && kill -KILL "$pid"; done
  for name in "$STATE"/*.pid; do # the nsenter and unshare processes outside end when theirs inside has ended
    for _ in $(seq 100); do recorded "$name" > /dev/null || break; sleep 0.1; done
    pid=$(recorded "$name") && kill -KILL "$pid"
  done
  for cgroup in $(kube_cgroups); do
    find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null || say "could not remove all of $cgroup: still in use?"
  done
  # The last mount goes with the last process; until then removal may find directories busy.
  for _ in $(seq 50); do rm -rf --one-file-system "${STATE:?}/private" 2> /dev/null && break; sleep 0.1; done
  if [ -f "$STATE/made-dirs" ]; then
    while read -r dir; do rmdir "$dir" || true; done < <(tac "$STATE/made-dirs")
  fi
  rm -rf --one-file-system "${STATE:?}"
}
