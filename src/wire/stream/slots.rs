//! The slots of a worker: the number of jobs that run at the same time, which staff may change meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Slots {
    free: Arc<Semaphore>,
    total: AtomicUsize,
    /// Slots to be removed as soon as their jobs have ended.
    surplus: AtomicUsize,
}

impl Slots {
    pub(super) fn new(total: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(total)), total: AtomicUsize::new(total), surplus: AtomicUsize::new(0) }
    }

    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Waits for a slot, then takes all that are free.
    pub(super) async fn free(&self) -> Vec<OwnedSemaphorePermit> {
        loop {
            let Ok(first) = Arc::clone(&self.free).acquire_owned().await else { return Vec::new() };
            let mut permits = vec![first];
            while let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                permits.push(permit);
            }
            let surplus = self.take_surplus(permits.len());
            for permit in permits.drain(..surplus) {
                permit.forget();
            }
            if !permits.is_empty() {
                return permits;
            }
        }
    }

    /// Changes the number of slots. Only one task resizes, so the two counts need no common lock.
    pub(super) fn resize(&self, total: usize) {
        let before = self.total.swap(total, Ordering::Relaxed);
        if total >= before {
            let spared = self.take_surplus(total - before);
            self.free.add_permits(total - before - spared);
        } else {
            self.surplus.fetch_add(before - total, Ordering::Relaxed);
        }
    }

    /// Takes up to `limit` of the slots that are still to be removed, and returns their number.
    fn take_surplus(&self, limit: usize) -> usize {
        let spare = |surplus: usize| Some(surplus.saturating_sub(limit));
        let before = self.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spare).unwrap_or_default();
        before.min(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn resize_to_fewer_slots_applies_when_running_jobs_end() {
        let slots = Slots::new(4);
        let running = slots.free().await;
        assert_eq!(running.len(), 4);
        slots.resize(1);
        drop(running);
        let running = slots.free().await;
        assert_eq!((running.len(), slots.total()), (1, 1));
        slots.resize(3);
        assert_eq!(slots.free().await.len(), 2);
        drop(running);
        assert_eq!(slots.free().await.len(), 3);
    }

    #[tokio::test]
    async fn resize_back_before_jobs_end_restores_all_slots() {
        let slots = Slots::new(4);
        let running = slots.free().await;
        slots.resize(1);
        slots.resize(4);
        drop(running);
        assert_eq!(slots.free().await.len(), 4);
    }
}
