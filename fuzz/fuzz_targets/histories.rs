//! Fuzzes [`tally_fuzz::histories`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tally_fuzz::histories(data));
