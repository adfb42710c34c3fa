//! The leases that this process holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{control::JobControl, envelope::Envelope, event::DeliveryId};
use crate::job::JobId;

/// A job on its way from the reader to the worker.
pub(super) struct Delivery {
    pub envelope: Envelope,
    pub lease: Lease,
}

/// The held jobs by their entries in the stream. The heartbeat renews these entries.
#[derive(Clone, Default)]
pub(super) struct Leases(Arc<Mutex<HashMap<String, LeasedJob>>>);

/// A job whose lease this process holds.
#[derive(Clone)]
pub(super) struct LeasedJob {
    pub since: Instant,
    pub delivery_id: DeliveryId,
    /// True if a `running` event was sent.
    pub announced: bool,
    /// True if a handler has started; otherwise the job can be handed back.
    pub started: bool,
    /// True if another worker has taken the job over, or Redis was emptied.
    pub lost: bool,
    /// The control of the job's handler.
    pub control: JobControl,
}

impl Leases {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, LeasedJob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lease of an entry; the lease ends when the last clone of the result is dropped.
    pub(super) fn take(
        &self,
        entry: String,
        envelope: &Envelope,
        slot: OwnedSemaphorePermit,
        deliveries: usize,
        news: Arc<Notify>,
    ) -> Lease {
        let control = JobControl::new(envelope, news);
        let delivery_id = DeliveryId { job_id: envelope.job_id, fence: envelope.fence, deliveries };
        let held = LeasedJob {
            since: Instant::now(),
            delivery_id,
            announced: false,
            started: false,
            lost: false,
            control: control.clone(),
        };
        self.lock().insert(entry.clone(), held);
        Lease(Arc::new(Inner { entry, delivery_id, leases: self.clone(), control, slot: Mutex::new(Some(slot)) }))
    }

    /// Revokes a dispatch: returns true if this process holds it, and notifies its handler.
    pub(super) fn revoke(&self, job_id: JobId, fence: i64) -> bool {
        let leases = self.lock();
        let held = leases.values().find(|held| held.delivery_id.job_id == job_id && held.delivery_id.fence == fence);
        held.inspect(|held| held.control.revoke()).is_some()
    }
}

/// A task's lease on its entry; stored in the task's data.
#[derive(Clone)]
pub(super) struct Lease(Arc<Inner>);

struct Inner {
    entry: String,
    delivery_id: DeliveryId,
    leases: Leases,
    control: JobControl,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Lease {
    pub(super) fn entry(&self) -> &str {
        &self.0.entry
    }

    pub(super) fn delivered(&self) -> DeliveryId {
        self.0.delivery_id
    }

    pub(super) fn control(&self) -> JobControl {
        self.0.control.clone()
    }

    pub(super) fn start(&self) {
        if let Some(held) = self.0.leases.lock().get_mut(&self.0.entry) {
            held.started = true;
        }
    }

    /// Frees the slot, so that the reader can fetch the next job while this job's event is still being stored.
    pub(super) fn free_slot(&self) {
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.entry);
    }
}
