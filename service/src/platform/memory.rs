//! The memory of the process.

use std::ffi::{c_int, c_long};

/// mimalloc's option of how many milliseconds it keeps freed memory before it gives it back (`mi_option_purge_delay` in
/// its `mimalloc.h`; the crate has no name for it).
const PURGE_DELAY: c_int = 15;
/// As in mimalloc 2. In 3 it is a second, in which the batches of a stream pile up: an ingest stream takes twice the memory
/// and is no faster.
const MILLISECONDS: c_long = 10;

/// Has the allocator give freed memory back soon, unless `MIMALLOC_PURGE_DELAY` says otherwise.
#[expect(unsafe_code, reason = "the only way to set an option of the allocator in the program")]
pub fn give_back_soon() {
    // SAFETY: the function checks the number of the option, stores an integer, and may be called at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, MILLISECONDS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "the only way to read an option of the allocator")]
    fn the_option_is_that_of_the_delay() {
        // SAFETY: as above.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000, "the default of mimalloc 3; no other option has it");
        give_back_soon();
        assert_eq!(delay(), MILLISECONDS);
    }
}
