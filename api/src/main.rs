//! The `ledgermq` binary: see [`api::cli`].

use std::process::ExitCode;

/// Returns memory to the system soon after a peak, which the default allocator does not. Its
/// settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    api::cli::main()
}
