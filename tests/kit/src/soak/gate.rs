//! A gate for customers in a run of faults: they work while it is open, and wait while a check holds it shut.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Synchronises customers, each on a thread of its own, with checks.
#[derive(Default)]
pub(super) struct Gate {
    open: RwLock<()>,
    closing: AtomicBool,
    end: AtomicBool,
    failed: AtomicBool,
}

impl Gate {
    /// Calls `act` again and again until the end, one customer's work.
    pub(super) fn live(&self, mut act: impl FnMut()) {
        let failed = SetByPanic(&self.failed);
        while !self.end.load(Ordering::SeqCst) {
            if self.closing.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            let _open = self.open.read().expect("the checks have not panicked");
            act();
        }
        drop(failed);
    }

    /// Runs a check while all customers wait.
    pub(super) fn at_rest<T>(&self, check: impl FnOnce() -> T) -> T {
        // A writer that waits must not wait for ever behind readers that come again and again.
        self.closing.store(true, Ordering::SeqCst);
        let still = self.open.write().expect("no customer has panicked");
        let checked = check();
        self.closing.store(false, Ordering::SeqCst);
        drop(still);
        checked
    }

    /// Runs `work` while customers are at work; they end with it, also when it panics.
    pub(super) fn until_done<T>(&self, work: impl FnOnce() -> T) -> T {
        let end = SetOnDrop(&self.end);
        let done = work();
        drop(end);
        done
    }

    /// Panics if a customer has panicked.
    pub(super) fn nobody_has_failed(&self) {
        assert!(!self.failed.load(Ordering::SeqCst), "a customer has given up, see above");
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct SetByPanic<'a>(&'a AtomicBool);

impl Drop for SetByPanic<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(thread::panicking(), Ordering::SeqCst);
    }
}
