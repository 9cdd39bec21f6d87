//! Compiles the .proto files with protox, so that no protoc is needed.

use protox::prost::Message;
use std::path::{Path, PathBuf};

const FILES: [&str; 5] = [
    "ledgermq/peer/v1/peer.proto",
    "ledgermq/admin/v1/admin.proto",
    "apache/rocketmq/v2/definition.proto",
    "apache/rocketmq/v2/service.proto",
    "apache/rocketmq/v2/admin.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=proto");
    let mut descriptors = protox::compile(FILES, [root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors.clone())?;

    // The HTTP API is described with the comments of the one service that it gives.
    let mut admin = descriptors.clone();
    admin.file.retain(|file| file.package() == "ledgermq.admin.v1");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("admin.bin"), admin.encode_to_vec())?;

    // Reflection wants the shapes only; the comments would ride along in every binary.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
