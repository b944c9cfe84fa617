//! Finding out whether something was sent, after its answer was lost.

use std::future::Future;

use futures::future::BoxFuture;

use crate::{
    handlers::IdempotencyKey,
    network::{NetError, Network, PortalKey},
};

/// Looks for what was sent.
pub trait Reconcile<N: Network>: Send + Sync + 'static {
    /// The message that carries the key, if the chat has one. Asked after a settling time, and again right before the
    /// message is sent again.
    fn find(
        &self,
        client: &N::Client,
        at: &PortalKey<N>,
        key: &IdempotencyKey,
    ) -> impl Future<Output = Result<Option<N::MessageId>, NetError>> + Send;
}

/// [`Reconcile`], boxed.
pub(crate) trait ErasedReconcile<N: Network>: Send + Sync + 'static {
    fn find<'a>(
        &'a self,
        client: &'a N::Client,
        at: &'a PortalKey<N>,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<N::MessageId>, NetError>>;
}
impl<N: Network, R: Reconcile<N>> ErasedReconcile<N> for R {
    fn find<'a>(
        &'a self,
        client: &'a N::Client,
        at: &'a PortalKey<N>,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<N::MessageId>, NetError>> {
        Box::pin(Reconcile::find(self, client, at, key))
    }
}
