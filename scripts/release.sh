#!/usr/bin/env bash
# Makes what a release is made of, of a binary that is built: a tarball, a bill of materials, checksums, a signature.
#
#   scripts/release.sh --binary FILE [--out DIR]
#
# RELEASE_KEY names the private key that signs (ssh-keygen -t ed25519); without one nothing is signed, which is said loudly.
# The same commit and the same binary give the same tarball, byte by byte.
set -euo pipefail

cd "$(dirname "$0")/.."

CYCLONEDX_VERSION=0.5.9
tools=${LEDGERMQ_CACHE:-$HOME/.cache/ledgermq}/release-tools

binary='' out=dist
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    *) echo "unknown argument $1: see the head of $0" >&2 && exit 2 ;;
  esac
done
[ -x "$binary" ] || { echo "no binary at ${binary:-(nothing)}: name it with --binary" >&2 && exit 2; }

version=$("$binary" --version | awk '{print $2}')
name=ledgermq-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
mkdir -p "$out"
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

echo "tarball: $name.tar.gz"
mkdir "$staging/$name"
# Names of functions stay, for the traces of a defect.
strip --strip-debug -o "$staging/$name/ledgermq" "$binary"
cp LICENSE README.md SECURITY.md CHANGELOG.md "$staging/$name/"
cp deploy/systemd/ledgermq.service deploy/systemd/ledgermq.sysusers.conf deploy/systemd/node.toml "$staging/$name/"
of_commit=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --directory "$staging" --create --sort=name --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' \
  --mtime="@$of_commit" "$name" | gzip --no-name --best > "$out/$name.tar.gz"

echo "bill of materials: ledgermq-$version.cdx.json"
if ! "$tools/bin/cargo-cyclonedx" cyclonedx --version 2>/dev/null | grep -qF "$CYCLONEDX_VERSION"; then
  cargo install --quiet --locked --root "$tools" --version "$CYCLONEDX_VERSION" cargo-cyclonedx
fi
# It writes beside the manifest of each crate: of a copy, so that nothing here changes.
mkdir "$staging/source"
git ls-files -z '*.toml' '*.lock' '*.rs' | tar --null --files-from=- --create | tar --directory "$staging/source" --extract
"$tools/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --target "$(rustc -vV | sed -n 's/^host: //p')" \
  --manifest-path "$staging/source/api/Cargo.toml" --override-filename ledgermq
# The script of the console has libraries of its own in it.
python3 -B scripts/bill-of-console.py "$staging/source/api/ledgermq.json" > "$out/ledgermq-$version.cdx.json"

(cd "$out" && sha256sum "$name.tar.gz" "ledgermq-$version.cdx.json" > SHA256SUMS)
if [ -n "${RELEASE_KEY:-}" ]; then
  rm -f "$out/SHA256SUMS.sig"
  ssh-keygen -q -Y sign -f "$RELEASE_KEY" -n ledgermq-release "$out/SHA256SUMS"
  echo "signed: SHA256SUMS.sig"
else
  printf '\n*** NOT SIGNED: RELEASE_KEY names no key. Nobody can tell whether these files are ours.\n\n' >&2
fi
ls -l "$out"
