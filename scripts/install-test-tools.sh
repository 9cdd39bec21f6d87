#!/usr/bin/env bash
# Installs what tests of faults need: libfaketime, for wall clocks that jump; nft and ip, for networks that break; the
# tools for file systems of nodes. Silent where they are there. Without them those tests check nothing, and say so.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

skipped() {
  printf '\n*** SKIPPED: %s are not tested: no %s (apt-get install %s)\n\n' "$1" "$2" "$2" >&2
}

# Administrators' commands are not in everybody's PATH.
has() {
  PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null
}

compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null ||
  "$here/apt-install.sh" "for tests of clocks that jump" libfaketime ||
  skipped "clocks that jump" libfaketime

has nft || "$here/apt-install.sh" "for tests of networks that break" nftables || skipped "partitions" nftables
has ip || "$here/apt-install.sh" "for tests of networks that break" iproute2 || skipped "partitions" iproute2
has dnsmasq || "$here/apt-install.sh" "for tests of pods that move" dnsmasq-base || skipped "pods that move" dnsmasq-base
has mkfs.ext4 || "$here/apt-install.sh" "for tests of power failures" e2fsprogs || skipped "power failures" e2fsprogs
