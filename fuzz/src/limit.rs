//! An allocator with a limit: input of a few bytes must not ask for more memory than its target allows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// No more than this may be.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, with the limit that is in force.
pub struct Limited;

/// Runs with `bytes` of heap beyond what is allocated now; an input that asks for more is a finding.
pub fn within(bytes: usize, run: impl FnOnce()) {
    LIMIT.store(LIVE.load(Relaxed).saturating_add(bytes), Relaxed);
    run();
    LIMIT.store(usize::MAX, Relaxed);
}

fn charge(size: usize) -> bool {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    let fits = live <= LIMIT.load(Relaxed);
    if !fits {
        // no limit while it is reported
        LIMIT.store(usize::MAX, Relaxed);
        LIVE.fetch_sub(size, Relaxed);
        eprintln!("more memory than the target allows: {size} bytes at once, {live} in all");
    }
    fits
}

// SAFETY: every call goes to the system's allocator unchanged, or is refused with a null pointer, which the contract allows.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !charge(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !charge(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !charge(size - layout.size()) {
            return std::ptr::null_mut();
        }
        if size < layout.size() {
            LIVE.fetch_sub(layout.size() - size, Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
