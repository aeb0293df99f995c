# What the scripts share. Source it from bash; the working directory becomes the repository's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
warn() { printf '\033[1;33m==> %s\033[0m\n' "$*" >&2; }
die() {
  printf '\033[1;31m==> %s\033[0m\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# rustup puts cargo where a shell that was open before does not look.
have cargo || PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"
target() { printf '%s' "${CARGO_TARGET_DIR:-target}"; }

# The directory of the newest PostgreSQL (14 or later) that has PostGIS; nothing when there is none.
postgres_bin() {
  local bin share major best='' best_major=0
  for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || continue
    major=$("$bin/postgres" --version | sed -E 's/.*\(PostgreSQL\) ([0-9]+).*/\1/')
    share=$("$bin/pg_config" --sharedir 2>/dev/null || echo "/usr/share/postgresql/$major")
    [ -e "$share/extension/postgis.control" ] || continue
    if [ "$major" -ge 14 ] && [ "$major" -gt "$best_major" ]; then
      best=$bin best_major=$major
    fi
  done
  printf '%s' "$best"
}

# A Chromium that really starts: on Ubuntu the package may be a stub that only points to a snap.
chromium_bin() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if [ -n "$name" ] && have "$name" && timeout 30 "$name" --version >/dev/null 2>&1; then
      command -v "$name"
      return
    fi
  done
  # One that Playwright fetched earlier.
  for name in "${PLAYWRIGHT_BROWSERS_PATH:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ms-playwright}"/chromium-*/chrome-linux*/chrome; do
    if [ -x "$name" ]; then
      printf '%s\n' "$name"
      return
    fi
  done
}

node_major() { node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/'; }

# Whether somebody listens there already.
taken() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    taken 127.0.0.1 "$port" || break
  done
  echo "$port"
}

# The status of a GET, without needing curl.
http_status() {
  local line
  exec 3<>"/dev/tcp/$1/$2" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$3" "$1" "$2" >&3
  IFS=' ' read -r -t 10 _ line _ <&3 || line=0
  exec 3>&-
  printf '%s' "$line"
}
