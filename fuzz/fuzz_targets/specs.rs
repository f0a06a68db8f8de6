//! Fuzzes [`tally_fuzz::specs`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tally_fuzz::specs(data));
