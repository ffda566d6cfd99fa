# shellcheck shell=bash
# What the scripts of this folder share. Sourced, with bash, after `cd` to the top of the source tree.
# SPDX-License-Identifier: MIT

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# Neither cron nor a container need set HOME; npm and Chromium want one.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
  export HOME="${HOME:-/tmp}"
fi

# Node knows its own authorities only; a machine's own (an inspecting proxy's, say) stand in the system's bundle.
if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
  export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
fi

say() { printf 'ci: %s\n' "$*" >&2; }

# die MESSAGE HINT [STATUS]: one line of what is wrong, one of what to do.
die() {
  printf 'ci: error: %s\nhint: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

# quietly LOG COMMAND...: runs it with its output in LOG; a failure shows the end of it.
quietly() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    printf 'ci: the end of %s:\n' "$log" >&2
    tail -n 25 "$log" >&2
  fi
  return "$status"
}

# build_quickly PRESET [OPTION-OF-CMAKE...] [-- TARGET...]: configures and builds, from nothing as quickly as it goes:
# large headers are compiled once, files together, and there is no more debug information than back traces need.
build_quickly() {
  local preset=$1 options=() targets=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  [ $# -le 1 ] || targets=(--target "${@:2}")
  quietly "build/ci/configure-$preset.log" cmake --preset "$preset" -DPV_QUICK_BUILD=ON \
    "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" "${options[@]}" ||
    die "cmake found something wrong" "see build/ci/configure-$preset.log"
  quietly "build/ci/build-$preset.log" cmake --build --preset "$preset" "${targets[@]}" ||
    die "the build failed" "see build/ci/build-$preset.log"
}

# Another apt may be at work (unattended upgrades on a fresh machine): wait for it, within a bound.
apt_get() {
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}

apt_install() { apt_get install --no-install-recommends --no-remove "$@"; }

# The lock of the package lists is not covered by DPkg::Lock::Timeout.
apt_update() {
  local try
  for try in 1 2 3 4 5 6; do
    apt_get update "$@" && return 0
    [ "$try" = 6 ] && return 1
    flock -n /var/lib/apt/lists/lock true 2>/dev/null && return 1
    sleep 10
  done
}

# apt_sources RELEASE TYPE SUITE: for each mirror from which this machine takes RELEASE (its name in apt's sources), prints
# one deb822 source of TYPE (deb, deb-src) and SUITE of that mirror, in records that end in NUL. Everything else that the
# machine says of the mirror (keys, trust, validity) is kept.
apt_sources() {
  local files=() file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] && files+=("$file")
  done
  [ ${#files[@]} -gt 0 ] || return 0
  awk -v names="$1" -v types="$2" -v suite="$3" -f ci/apt-sources.awk "${files[@]}"
}
