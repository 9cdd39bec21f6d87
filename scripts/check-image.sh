#!/usr/bin/env bash
# Builds the image of deploy/docker/Dockerfile from the built binary, without Docker, a daemon or a registry of images,
# and runs it as Kubernetes would: not as root, no capabilities, a root file system that nobody writes to.
#
#   scripts/check-image.sh [--binary FILE]
#
# Debian's buildah builds it, on a base of Debian's packages instead of debian:bookworm-slim; crun runs it. Both need
# root. What cannot be had is said loudly and does not fail.
set -euo pipefail

cd "$(dirname "$0")/.."

skipped() {
  printf '\n*** SKIPPED: %s\n\n' "$1" >&2
}

wrong() {
  printf 'WRONG: %s\n' "$1" >&2
  exit 1
}

binary=${CARGO_TARGET_DIR:-$PWD/target}/release/ledgermq
if [ "${1:-}" = --binary ]; then
  binary=$2
fi
if [ ! -x "$binary" ]; then
  skipped "the image: no $binary (make build)"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  skipped "the image: it is built and run by root only"
  exit 0
fi

missing=()
for tool in buildah debootstrap crun; do
  PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ] && ! scripts/apt-install.sh "to build and run the image" "${missing[@]}"; then
  skipped "the image: no ${missing[*]}"
  exit 0
fi

cache=${LEDGERMQ_CACHE:-$HOME/.cache/ledgermq}/image
mkdir -p "$cache"
build() {
  nice -n 10 buildah --root "$cache/storage" --runroot "$cache/run" --storage-driver vfs "$@"
}

# make_base DIRECTORY: the files of Debian's smallest system, not configured. Stages that only copy need no more of it,
# and it is there in seconds.
make_base() {
  local mirror archive link
  # Where this machine has its own packages from.
  # shellcheck disable=SC2016 # apt-get replaces it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
  debootstrap --variant=minbase --foreign bookworm "$1" ${mirror:+"$mirror"} >"$1.log" 2>&1
  for archive in "$1"/var/cache/apt/archives/lib{stdc++6,gcc-s1}_*.deb; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$1"
  done
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/debootstrap
  # Within a container debootstrap makes links of them, to what a build has mounted there by itself.
  for link in proc sys dev; do
    [ ! -L "$1/$link" ] || { rm "$1/$link" && mkdir "$1/$link"; }
  done
  [ -e "$1/bin/sh" ] || ln -s dash "$1/bin/sh"
}

base=localhost/ledgermq-base:bookworm
if ! build images -q "$base" >/dev/null 2>&1; then
  echo "Making a base of Debian's packages, once"
  scratch=$(mktemp -d "$cache/base.XXXXXX")
  make_base "$scratch/root" || wrong "debootstrap failed: $(tail -n 3 "$scratch/root.log")"
  container=$(build from scratch)
  tar -C "$scratch/root" -cf "$scratch/root.tar" .
  build add -q "$container" "$scratch/root.tar" / >/dev/null
  build commit -q "$container" "$base" >/dev/null
  build rm "$container" >/dev/null
  rm -rf --one-file-system "$scratch"
fi

version=$("$binary" --version | awk '{print $2}')
image=localhost/ledgermq:$version
context=$(mktemp -d "$cache/context.XXXXXX")
container=
cleanup() {
  [ -z "$container" ] || build rm "$container" >/dev/null || true
  rm -rf "$context"
}
trap cleanup EXIT
strip --strip-debug -o "$context/ledgermq" "$binary" 2>/dev/null || cp "$binary" "$context/ledgermq"
echo "Building $image"
build bud --isolation chroot --layers=false --target prebuilt --build-arg BASE="$base" --build-arg BINARY=ledgermq \
  --build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
  -t "$image" -f deploy/docker/Dockerfile "$context" >"$cache/build.log" 2>&1 ||
  wrong "the image is not built: $(tail -n 5 "$cache/build.log")"

container=$(build from "$image")
root=$(build mount "$container")
build inspect --type image "$image" >"$context/image.json"
python3 -B deploy/checks/image.py --root "$root" --inspected "$context/image.json" --version "$version" \
  --scratch "$context" --helm "$(scripts/install-deploy-tools.sh)/bin/helm"
