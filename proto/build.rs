//! Compiles the .proto files with protox, so that no protoc is needed.

use std::path::Path;

const FILES: [&str; 2] = ["ledgermq/peer/v1/peer.proto", "ledgermq/admin/v1/admin.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, [root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
