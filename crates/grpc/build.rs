//! Compiles the .proto files, in Rust alone: no `protoc` is needed on the machine that builds.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const CONNECT: [&str; 7] = [
    "acl.proto",
    "agents.proto",
    "credentials.proto",
    "domains.proto",
    "numbers.proto",
    "peers.proto",
    "trunks.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    // The files import each other by their bare names, so that this folder is what compilers are pointed at.
    let folder = "proto/connect";
    println!("cargo:rerun-if-changed={folder}");
    let files = protox::compile(CONNECT, [folder])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("connect.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).include_file("connect.rs").compile_fds(files)?;
    Ok(())
}
