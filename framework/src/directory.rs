//! Finding people and chats on the network, and fetching files from it.

use std::future::Future;

use futures::future::BoxFuture;

use crate::{
    event::{MediaRef, UserInfo},
    handlers::MediaStream,
    network::{NetError, Network, PortalKey},
};

/// Users that were found, with their profiles.
type Found<'a, N> = BoxFuture<'a, Result<Vec<(<N as Network>::UserId, UserInfo)>, NetError>>;

/// Finds people and chats.
pub trait Directory<N: Network>: Send + Sync + 'static {
    /// The user that an identifier as people write it (a nick, a phone number, an address) stands for.
    fn resolve(
        &self,
        client: &N::Client,
        query: &str,
    ) -> impl Future<Output = Result<Option<N::UserId>, NetError>> + Send;
    /// Users that match.
    fn search(
        &self,
        client: &N::Client,
        query: &str,
    ) -> impl Future<Output = Result<Vec<(N::UserId, UserInfo)>, NetError>> + Send;
    /// Opens the direct chat with a user.
    fn open_dm(
        &self,
        client: &N::Client,
        user: &N::UserId,
    ) -> impl Future<Output = Result<PortalKey<N>, NetError>> + Send;
    /// The chat that a name as people write it (`#channel`, a link) stands for: for plumbing and joining.
    fn find_chat(
        &self,
        _client: &N::Client,
        _query: &str,
    ) -> impl Future<Output = Result<Option<PortalKey<N>>, NetError>> + Send {
        async { Ok(None) }
    }
}

/// Fetches files.
pub trait MediaSource<N: Network>: Send + Sync + 'static {
    /// Opens a file named by [`MediaRef`].
    fn open(
        &self,
        client: &N::Client,
        media: &MediaRef,
    ) -> impl Future<Output = Result<MediaStream, NetError>> + Send;
}

/// [`Directory`], boxed.
pub(crate) trait ErasedDirectory<N: Network>: Send + Sync + 'static {
    fn resolve<'a>(
        &'a self,
        c: &'a N::Client,
        query: &'a str,
    ) -> BoxFuture<'a, Result<Option<N::UserId>, NetError>>;
    fn search<'a>(&'a self, c: &'a N::Client, query: &'a str) -> Found<'a, N>;
    fn open_dm<'a>(
        &'a self,
        c: &'a N::Client,
        user: &'a N::UserId,
    ) -> BoxFuture<'a, Result<PortalKey<N>, NetError>>;
    fn find_chat<'a>(
        &'a self,
        c: &'a N::Client,
        query: &'a str,
    ) -> BoxFuture<'a, Result<Option<PortalKey<N>>, NetError>>;
}
impl<N: Network, D: Directory<N>> ErasedDirectory<N> for D {
    fn resolve<'a>(
        &'a self,
        c: &'a N::Client,
        query: &'a str,
    ) -> BoxFuture<'a, Result<Option<N::UserId>, NetError>> {
        Box::pin(Directory::resolve(self, c, query))
    }
    fn search<'a>(&'a self, c: &'a N::Client, query: &'a str) -> Found<'a, N> {
        Box::pin(Directory::search(self, c, query))
    }
    fn open_dm<'a>(
        &'a self,
        c: &'a N::Client,
        user: &'a N::UserId,
    ) -> BoxFuture<'a, Result<PortalKey<N>, NetError>> {
        Box::pin(Directory::open_dm(self, c, user))
    }
    fn find_chat<'a>(
        &'a self,
        c: &'a N::Client,
        query: &'a str,
    ) -> BoxFuture<'a, Result<Option<PortalKey<N>>, NetError>> {
        Box::pin(Directory::find_chat(self, c, query))
    }
}

/// [`MediaSource`], boxed.
pub(crate) trait ErasedMediaSource<N: Network>: Send + Sync + 'static {
    fn open<'a>(
        &'a self,
        c: &'a N::Client,
        media: &'a MediaRef,
    ) -> BoxFuture<'a, Result<MediaStream, NetError>>;
}
impl<N: Network, M: MediaSource<N>> ErasedMediaSource<N> for M {
    fn open<'a>(
        &'a self,
        c: &'a N::Client,
        media: &'a MediaRef,
    ) -> BoxFuture<'a, Result<MediaStream, NetError>> {
        Box::pin(MediaSource::open(self, c, media))
    }
}
