#!/usr/bin/env bash
# Installs what building needs and this machine lacks. Silent where nothing is missing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

if ! command -v "${CARGO:-cargo}" >/dev/null; then
  cat >&2 <<'TEXT'
Rust is missing: there is no `cargo` on the PATH.
Install Rust 1.89 or newer with rustup (https://rustup.rs), open a new shell, and run this again.
Debian's own rustc is too old.
TEXT
  exit 1
fi

missing=()
command -v c++ >/dev/null || missing+=(g++)
# RocksDB's bindings are generated with libclang; libclang-cpp is something else, and may be there without it.
compgen -G '/usr/lib/llvm-*/lib/libclang[-.][s0-9]*' >/dev/null || [ -n "${LIBCLANG_PATH:-}" ] ||
  ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' || missing+=(libclang-dev)

if [ ${#missing[@]} -gt 0 ]; then
  "$here/apt-install.sh" "to build RocksDB" "${missing[@]}"
fi
