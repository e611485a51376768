//! Asking for memory ahead of its use.
//!
//! # Design
//! A submit of a key that was not touched lately waits for three lines of memory, each known only from the one before:
//! the index's word, the slot, the operation that waits there. They are asked for before the body is checked, which takes
//! about as long as the memory does, where they are thought to be (`hints.rs`); in a batch all are asked for, for all
//! operations, before the first is folded.
//!
//! # Why `unsafe`
//! The instruction is only there as an intrinsic over a raw pointer. It reads nothing that a program can see, it
//! cannot fault, and it changes nothing: the safe twin is to do nothing, and the tests run with both (the twin is what
//! other processors and the model checkers get).

/// Asks for the line at an address, which need not be that of anything any more.
#[inline]
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "the intrinsic takes a raw pointer")]
pub(super) fn prefetch_address(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY:
    // - The instruction is part of SSE, which every x86-64 processor has.
    // - It is a hint: an address that is not mapped, or not ours, is ignored without a fault, and nothing is read
    //   into the program. So the address may be stale or made up.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) }
}

/// The safe twin: asks for nothing.
#[inline]
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) fn prefetch_address(_address: usize) {}

/// Bytes of a line of cache.
const LINE_BYTES: usize = 64;

/// Asks for a value's lines.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    prefetch_from(std::ptr::from_ref(value).addr(), size_of::<T>().div_ceil(LINE_BYTES));
}

/// Asks for the lines of the value at a place, where there is one.
#[inline]
pub(crate) fn prefetch_at<T>(values: &[T], place: usize) {
    values.get(place).into_iter().for_each(prefetch);
}

/// Asks for so many lines from an address on.
#[inline]
pub(super) fn prefetch_from(address: usize, lines: usize) {
    for line in 0..lines {
        prefetch_address(address.wrapping_add(line * LINE_BYTES));
    }
}

/// Asks for so many lines up to that of an address.
#[inline]
pub(super) fn prefetch_up_to(address: usize, lines: usize) {
    for line in 0..lines {
        prefetch_address(address.wrapping_sub(line * LINE_BYTES));
    }
}

/// Lines of some bytes that are asked for.
const LINES_MAX: usize = 8;

/// Asks for the last lines of some bytes, which is where an operation's directory is, and where most operations are in
/// whole.
#[inline]
pub(super) fn prefetch_bytes(bytes: &[u8]) {
    let last = bytes.as_ptr_range().end.addr().wrapping_sub(1);
    prefetch_up_to(last, (bytes.len() / LINE_BYTES + 1).min(LINES_MAX));
}
