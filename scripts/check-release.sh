#!/usr/bin/env bash
# Makes a release of a binary with a key of its own, verifies it as SECURITY.md says, and sees that what was changed is refused.
#
#   scripts/check-release.sh BINARY
set -euo pipefail

cd "$(dirname "$0")/.."
binary=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

ssh-keygen -q -t ed25519 -N '' -C release@ledgermq.example -f "$scratch/key"
echo "release@ledgermq.example $(cat "$scratch/key.pub")" > "$scratch/release-signers"
RELEASE_KEY=$scratch/key scripts/release.sh --binary "$binary" --out "$scratch/dist" > /dev/null

verify() {
  ssh-keygen -q -Y verify -f "$scratch/release-signers" -I release@ledgermq.example -n ledgermq-release -s SHA256SUMS.sig \
    < SHA256SUMS > /dev/null 2>&1 && sha256sum --quiet --check SHA256SUMS > /dev/null 2>&1
}

cd "$scratch/dist"
verify || { echo "WRONG: what was just made does not verify" >&2 && exit 1; }
mkdir "$scratch/unpacked"
tar --directory "$scratch/unpacked" --extract --file ledgermq-*.tar.gz
"$scratch"/unpacked/*/ledgermq --version
python3 - ledgermq-*.cdx.json <<'PYTHON'
import json, sys
bill = json.load(open(sys.argv[1], encoding="utf-8"))
named = {part["name"]: part for part in bill["components"]}
missing = [name for name in ("tonic", "openraft", "rocksdb", "rustls", "raft", "store", "preact", "uplot") if name not in named]
assert bill["bomFormat"] == "CycloneDX" and not missing, missing
unlicensed = [name for name, part in named.items() if not part.get("licenses")]
assert not unlicensed, f"without a licence: {unlicensed}"
print(f"the bill of materials names {len(named)} parts")
PYTHON

cp "ledgermq-"*.tar.gz "$scratch/kept"
printf 'x' >> ledgermq-*.tar.gz
! verify || { echo "WRONG: a changed tarball verifies" >&2 && exit 1; }
cp "$scratch/kept" ledgermq-*.tar.gz
cp SHA256SUMS "$scratch/sums"
sha256sum SHA256SUMS.sig >> SHA256SUMS
! verify || { echo "WRONG: changed checksums verify" >&2 && exit 1; }
cp "$scratch/sums" SHA256SUMS
ssh-keygen -q -t ed25519 -N '' -f "$scratch/other"
rm SHA256SUMS.sig
ssh-keygen -q -Y sign -f "$scratch/other" -n ledgermq-release SHA256SUMS 2> /dev/null
! verify || { echo "WRONG: another key's signature verifies" >&2 && exit 1; }
echo "ok: signed, verified; changed files, changed checksums and another key are refused"
