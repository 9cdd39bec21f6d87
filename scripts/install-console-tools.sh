#!/usr/bin/env bash
# Installs what builds and tests the console: Node.js, Chromium from Debian, and Schemathesis in a directory of its own. Silent where
# they are there. Who only builds the broker needs none of them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tools=${CARGO_TARGET_DIR:-$here/../target}/console-tools

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || missing+=(chromium)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  "$here/apt-install.sh" "for the console" "${missing[@]}"
fi

if [ ! -x "$tools/schemathesis/bin/schemathesis" ]; then
  mkdir -p "$tools"
  python3 -m venv "$tools/schemathesis"
  "$tools/schemathesis/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
fi
