//! Compiles the proto files without protoc, and keeps the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use tonic_prost_build::Config;

#[expect(clippy::disallowed_methods, reason = "cargo passes the output folder in a variable")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=tally");
    println!("cargo:rerun-if-changed=google");
    let mut files: Vec<PathBuf> =
        fs::read_dir("tally/v1")?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    // Clients that know the contract by reflection alone read the details of errors with it.
    files.push("google/rpc/error_details.proto".into());
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec())?;
    // Messages know their names in the contract, for those who look them up in the descriptor set.
    let mut named = Config::new();
    named.enable_type_names();
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types")
        .compile_fds_with_config(descriptors.clone(), named)?;
    // Servers are generated apart from clients: they write the responses of batches as bytes.
    let servers = out.join("servers");
    fs::create_dir_all(&servers)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::PreallocatingCodec")
        .out_dir(servers)
        .extern_path(".google.rpc", "::tonic_types")
        .extern_path(".tally.v1", "crate::v1")
        .extern_path(".tally.v1.BatchScoreLeadsResponse", "crate::EncodedBatch")
        .extern_path(".tally.v1.BatchPredictChurnResponse", "crate::EncodedBatch")
        .compile_fds(descriptors)?;
    Ok(())
}
