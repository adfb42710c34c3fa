//! Which request a job comes from: one id from the customer's answer to the host's log.

use tokio::task_local;

task_local! {
    static REQUEST_ID: String;
}

/// Runs `work` as part of that request: jobs enqueued by it carry its id.
pub async fn of_request<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

/// The id of the request that this runs for; none in background tasks and on the command line.
pub(super) fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}
