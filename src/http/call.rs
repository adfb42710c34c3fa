//! What every operation's call passes through, whichever noun it is of.

use std::sync::Arc;

use poem::{Endpoint, Request, Response};

use super::{
    auth,
    client::TrustedProxies,
    idempotency::Answers,
    query,
    spec::{self, Operation},
};
use crate::{accounts::Authenticator, origin::Call};

/// What is asked on the way to an operation.
pub(super) struct Calls {
    pub authenticator: Arc<Authenticator>,
    pub proxies: Arc<TrustedProxies>,
    pub operations: Arc<Vec<Operation>>,
    pub answers: Answers,
}

impl Calls {
    /// Finds out who asks for what, and lets the operation answer.
    pub async fn call<E>(&self, next: Arc<E>, mut request: Request) -> poem::Result<Response>
    where
        E: Endpoint<Output = Response> + 'static,
    {
        let client = self.proxies.client_of(&request);
        let caller = auth::caller(&self.authenticator, &request, client).await?;
        let operation = spec::find(&self.operations, request.method(), request.uri().path());
        let Some(operation) = operation else { return next.call(request).await };
        auth::admit(operation, caller.as_ref())?;
        query::check(operation, request.uri())?;
        let Some(caller) = caller else { return next.call(request).await };
        let call = Call { user_id: caller.user.user_id, operation_id: operation.id.clone(), attempt: None };
        request.set_data(caller);
        self.answers.call(call, next, request).await
    }
}
