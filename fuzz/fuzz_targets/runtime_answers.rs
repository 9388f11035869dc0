//! Any bytes as answers of container runtimes by gRPC.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| peregrine_containers::parse_grpc_answers(bytes));
