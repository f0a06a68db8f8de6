//! Fuzzes [`tally_fuzz::artifact`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tally_fuzz::artifact(data));
