//! Fuzzes [`tally_fuzz::requests`].
#![no_main]

use std::sync::LazyLock;

use tally_fuzz::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::of_demo);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tally_fuzz::requests(&SERVER, data);
});
