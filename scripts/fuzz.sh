#!/usr/bin/env bash
# Fuzzes one target for so many seconds: fuzz.sh TARGET SECONDS. Installs cargo-fuzz if it is missing. Without a
# sanitizer: there is no unsafe code of ours, and so a stable compiler will do. The bugs are panics, overflows, and
# assertions of the target.
set -euo pipefail

cd "$(dirname "$0")/.."
target=${1:?the target, one of api/fuzz/fuzz_targets}
seconds=${2:?for how many seconds}
built=${CARGO_TARGET_DIR:-$PWD/target}
# Its own: other flags, and RocksDB must not be compiled twice in the other one.
export CARGO_TARGET_DIR=$built/fuzz

# RocksDB is C++, and the same with these flags: what the broker was built with is linked, if it was built.
rocksdb=$(compgen -G "$built/release/build/librocksdb-sys-*/out/librocksdb.a" | head -n 1 || true)
if [ -n "$rocksdb" ]; then
  export ROCKSDB_LIB_DIR=${rocksdb%/*} ROCKSDB_STATIC=1
fi

cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version 0.13.2 --locked

# The committed corpus is read and stays small; what is found on the way is kept beside the build.
found=$CARGO_TARGET_DIR/corpus/$target
mkdir -p "$found" "api/fuzz/corpus/$target"
exec cargo fuzz run --fuzz-dir api/fuzz -s none "$target" "$found" "api/fuzz/corpus/$target" -- \
  -max_total_time="$seconds" -print_final_stats=1
