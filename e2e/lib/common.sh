# Paths, words and waiting, shared by the parts of e2e/cluster. Sourced, never run.

CLUSTER=pharos-e2e
STATE=${PHAROS_CLUSTER_DIR:-/var/lib/$CLUSTER}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pharos
E2E=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
die() { printf 'e2e/cluster: %s\n' "$*" >&2; exit 1; }

# until_ok SECONDS WHAT CMD…: tries CMD twice a second; when the time is up, says what it waited for.
until_ok() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" > /dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "gave up waiting for $what; the last try said:"
      "$@" >&2 || true
      return 1
    fi
    sleep 0.3
  done
}

# A process is known by its id and its start time, so that a recorded id never stands for a stranger.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }
record() { echo "$1 $(start_time "$1")" > "$2"; }
recorded() { # prints the id in the file if that very process still runs
  local pid started
  read -r pid started 2> /dev/null < "$1" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] && echo "$pid"
}
