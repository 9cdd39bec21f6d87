//! The `ledgermq` binary with bugs that can be switched on ([`store::planted`]), for the suites that must find them.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    api::cli::main()
}
