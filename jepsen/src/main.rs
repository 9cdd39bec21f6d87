//! The `jepsen` binary: see [`jepsen::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    jepsen::cli::main()
}
