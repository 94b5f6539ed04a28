# Builds the cluster's programs from Go modules, once per content of their sources. Sourced, never run.

HELM_VERSION=v3.19.5

# cached NAME KEY BUILD…: prints the path of a program in the cache, after building it with `BUILD… OUT` if it is not there.
cached() {
  local name=$1 key=$2 path started=$SECONDS
  shift 2
  path=$CACHE/bin/$name-$key/$name
  if [ ! -x "$path" ]; then
    command -v go > /dev/null || die "needs Go to build $name: install it (https://go.dev/dl) and try again"
    say "building $name (the first time only) …"
    mkdir -p "$(dirname "$path")"
    "$@" "$path.part" || die "$name does not build; see above"
    mv "$path.part" "$path"
    say "built $name in $((SECONDS - started)) s"
  fi
  echo "$path"
}

build_module() { # DIR OUT
  local kubernetes
  kubernetes=$(sed -n 's|^\tk8s.io/kubernetes \(v.*\)|\1|p' "$1/go.mod")
  # A node must say which Kubernetes it is. Beyond that plain flags, to share Go's build cache with any other build of these modules.
  (cd "$1" && CGO_ENABLED=0 GOFLAGS= go build -buildvcs=false -ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes" -o "$2" .) >&2
}
install_helm() { # OUT
  local bin
  bin=$(mktemp -d)
  GOBIN=$bin GOFLAGS= go install -ldflags='-s -w' "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" >&2 && mv "$bin/helm" "$1"
  rm -rf "$bin"
  [ -f "$1" ]
}

# module NAME DIR: the program that the Go module in e2e/DIR makes.
module() {
  local key
  key=$(cd "$E2E/$2" && cat -- *.go go.mod $([ -f go.sum ] && echo go.sum) | sha256sum | cut -c1-12)
  cached "$1" "$key" build_module "$E2E/$2"
}
helm_path() { command -v helm || cached helm "$HELM_VERSION" install_helm; }

# image NAME DIR USER: an OCI archive of the program that the Go module in e2e/DIR makes; prints its path.
image() {
  local name=$1 dir=$2 user=$3 program out
  program=$(module "$dir" "$dir")
  out=$(dirname "$program")/$(basename "${name%%:*}").tar
  [ -f "$out" ] || "$E2E/oci" "$name" "$out" "$user" "/$dir" "$program=/$dir"
  echo "$out"
}
