#!/usr/bin/env bash
# Installs the languages that `make interop` runs and Debian has: Python's venv, Node.js and Java.
# Go must be there already, because Debian 12's is too old for the official client.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

missing=()
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)

if [ ${#missing[@]} -gt 0 ]; then
  "$here/apt-install.sh" "for the official clients" "${missing[@]}"
fi

command -v go >/dev/null || echo "Go is missing: install Go 1.25 or newer from https://go.dev/dl" >&2
