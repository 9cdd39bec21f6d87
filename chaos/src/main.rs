//! `ledgermq-chaos`: clusters on one machine, and faults for them.

use std::process::ExitCode;

fn main() -> ExitCode {
    chaos::cli::main()
}
