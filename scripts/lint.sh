#!/usr/bin/env bash
# Formatting, clippy, licences and advisories. A missing tool is said loudly and does not fail.
set -euo pipefail

cd "$(dirname "$0")/.."

skipped() {
  printf '\n*** SKIPPED: %s\n\n' "$1" >&2
}

if cargo fmt --version >/dev/null 2>&1; then
  cargo fmt --all --check
  cargo fmt --check --manifest-path interop/rust/Cargo.toml
else
  skipped "formatting: no rustfmt (rustup component add rustfmt)"
fi

if cargo clippy --version >/dev/null 2>&1; then
  cargo clippy --release --locked --workspace --all-targets -- -D warnings
else
  skipped "clippy: not installed (rustup component add clippy)"
fi

# What SECURITY.md says that a test shows is shown by a test.
grep -o '`[a-z0-9_]*`' SECURITY.md | tr -d '`' | sort -u | { grep '_.*_.*_' || true; } | while read -r test; do
  grep -rqE "fn $test\b" --include='*.rs' api raft store jepsen || { echo "SECURITY.md names a test that is not there: $test" >&2 && exit 1; }
done

# What a node says is said in the console's other language too.
python3 -B scripts/check-sentences.py

# What is fuzzed is a workspace of its own, which nothing else here builds.
cargo metadata --locked --format-version 1 --manifest-path api/fuzz/Cargo.toml >/dev/null

if cargo deny --version >/dev/null 2>&1; then
  cargo deny --offline check bans licenses sources
else
  skipped "licences, bans and sources: no cargo-deny (cargo install cargo-deny)"
fi

# A copy of the RustSec database, so that no network is needed.
advisories=${LEDGERMQ_ADVISORY_DB:-../shared/advisory-db}
if ! cargo audit --version >/dev/null 2>&1; then
  skipped "advisories: no cargo-audit (cargo install cargo-audit)"
elif [ ! -d "$advisories" ]; then
  skipped "advisories: no copy of the database at $advisories (set LEDGERMQ_ADVISORY_DB)"
else
  cargo audit --no-fetch --db "$advisories"
fi
