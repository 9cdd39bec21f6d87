#!/usr/bin/env bash
# Installs what tests of faults load into a node: libfaketime, for wall clocks that jump. Silent where it is there.
# Without it those tests check nothing, and say so.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null ||
  "$here/apt-install.sh" "for tests of clocks that jump" libfaketime ||
  printf '\n*** SKIPPED: clocks that jump are not tested: no libfaketime (apt-get install libfaketime)\n\n' >&2
