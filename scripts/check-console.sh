#!/usr/bin/env bash
# The console and the HTTP API: are the embedded files up to date, does every page work in a real Chromium, does the API hold against
# what makes no sense. Screenshots are in target/console/screenshots afterwards.
#   scripts/check-console.sh LEDGERMQ [arguments of playwright]
set -euo pipefail

cd "$(dirname "$0")/.."
LEDGERMQ=$(realpath "${1:?the ledgermq binary}")
shift
export LEDGERMQ
tools=${CARGO_TARGET_DIR:-$PWD/target}/console-tools
export CONSOLE_ARTIFACTS=${CONSOLE_ARTIFACTS:-${CARGO_TARGET_DIR:-$PWD/target}/console}
mkdir -p "$tools"

scripts/install-console-tools.sh

cd api/console
npm ci --no-progress --silent
npm run --silent check
npx tsc --noEmit -p test

echo "are the embedded files up to date?"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
npm run --silent build -- --out "$fresh"
for file in index.html start.js app.js app.css licenses.txt; do
  cmp "$fresh/$file" "dist/$file" || { echo "api/console/dist/$file is not what its sources make: run make console, and commit" >&2 && exit 1; }
done

npx playwright test "$@"
[ $# -eq 0 ] || exit 0

# A cluster of its own: what is tried may delete anything.
cd ../..
python3 -B scripts/check-http-api.py --binary "$LEDGERMQ" --schemathesis "$tools/schemathesis/bin/schemathesis"
