//! Fuzzes [`tally_fuzz::imports`].
#![no_main]

use std::sync::LazyLock;

use tally_fuzz::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::empty);

libfuzzer_sys::fuzz_target!(|data: &[u8]| tally_fuzz::imports(&SERVER, data));
