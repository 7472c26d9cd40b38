//! Compiles the .proto files, in Rust alone: no `protoc` is needed on the machine that builds.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const CORE: [&str; 6] = [
    "common.proto",
    "location.proto",
    "processor.proto",
    "requester.proto",
    "sipmessage.proto",
    "verifier.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    // The files import each other by their bare names, so that this folder is what compilers are pointed at.
    let folder = "proto";
    println!("cargo:rerun-if-changed={folder}");
    let files = protox::compile(CORE, [folder])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("core.bin"), files.encode_to_vec())?;
    // Ordered maps: a message has one encoding.
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .include_file("core.rs")
        .compile_fds(files)?;
    Ok(())
}
