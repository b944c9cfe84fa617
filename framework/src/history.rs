//! Reading a chat's history. Pages are *raw* events: they run through the same decode, inbox and dedupe as live ones.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::network::{EventKey, NetError, Network, PortalKey};

/// Reads history.
pub trait History<N: Network>: Send + Sync + 'static {
    /// One page, oldest event first, whichever way it is read.
    fn page(
        &self,
        client: &N::Client,
        at: &PortalKey<N>,
        query: PageQuery<N>,
    ) -> impl Future<Output = Result<Page<N>, NetError>> + Send;
}

/// Which page.
pub struct PageQuery<N: Network> {
    /// Which way to read.
    pub dir: Dir,
    /// The message to start from (which may be in the page again); `None` starts at the newest or the oldest.
    pub anchor: Option<N::MessageId>,
    /// Where the page before ended, as [`Next::Cursor`] said.
    pub cursor: Option<String>,
    /// Only this thread.
    pub thread: Option<N::MessageId>,
    /// How many events at most.
    pub limit: usize,
}

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dir {
    /// From the anchor to the present.
    Newer,
    /// From the anchor (or the present) to the past.
    Older,
}

/// A page of history.
pub struct Page<N: Network> {
    /// The events, oldest first, each with the same key as when it is seen live.
    pub raw: Vec<(EventKey, N::Raw)>,
    /// What comes after it.
    pub next: Next,
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// Another page.
    Cursor(String),
    /// Another page, but not before this time has passed.
    Later(String, Duration),
}

/// [`History`], boxed.
pub(crate) trait ErasedHistory<N: Network>: Send + Sync + 'static {
    fn page<'a>(
        &'a self,
        client: &'a N::Client,
        at: &'a PortalKey<N>,
        query: PageQuery<N>,
    ) -> BoxFuture<'a, Result<Page<N>, NetError>>;
}
impl<N: Network, H: History<N>> ErasedHistory<N> for H {
    fn page<'a>(
        &'a self,
        client: &'a N::Client,
        at: &'a PortalKey<N>,
        query: PageQuery<N>,
    ) -> BoxFuture<'a, Result<Page<N>, NetError>> {
        Box::pin(History::page(self, client, at, query))
    }
}

impl<N: Network, H: History<N>> History<N> for Arc<H> {
    async fn page(
        &self,
        client: &N::Client,
        at: &PortalKey<N>,
        query: PageQuery<N>,
    ) -> Result<Page<N>, NetError> {
        History::page(&**self, client, at, query).await
    }
}
