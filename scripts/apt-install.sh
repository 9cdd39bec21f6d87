#!/usr/bin/env bash
# Installs Debian packages, with sudo where needed, and says so: apt-install.sh WHY PACKAGE...
set -euo pipefail

why=$1
shift

if ! command -v apt-get >/dev/null; then
  echo "Please install: $* ($why). This script can only do it with apt-get." >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Please install as root: apt-get install $* ($why)" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing with apt-get: $* ($why)"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
