//! Groups begun from Matrix: which sorts of them a network has, and what a handler is given to make one.

use crate::network::{Network, PortalKey};

/// A sort of group that can be begun, with what it may or must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupKind {
    /// What commands and URLs call it.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Its name.
    pub name: GroupField,
    /// Its topic.
    pub topic: GroupField,
    /// Its picture.
    pub avatar: GroupField,
    /// Who is in it, beside the account that begins it.
    pub members: GroupField,
}

/// What one thing about a group may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupField {
    /// Whether it can be given.
    pub allowed: bool,
    /// The least there must be of it: characters, or people. Above nought it must be given.
    pub min: usize,
    /// The most there may be; nought is without limit.
    pub max: usize,
}

impl GroupField {
    /// It can be given.
    pub fn up_to(max: usize) -> Self {
        Self { allowed: true, min: 0, max }
    }
    /// It must be given.
    pub fn from_to(min: usize, max: usize) -> Self {
        Self { allowed: true, min, max }
    }
}

/// A group to make. It is asked for again if it is not known whether it was made ([`super::Attempt::maybe_sent`]): then the
/// handler looks for it first. What takes several steps is noted in the [`super::Checkpoint`].
pub struct NewGroup<N: Network> {
    /// Which sort: one of [`GroupKind::id`].
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its picture, as an `mxc:` address: read it by [`super::Files`].
    pub avatar: Option<String>,
    /// Who is to be in it, beside the account itself.
    pub members: Vec<N::UserId>,
}

/// A group that was made.
pub struct GroupMade<N: Network> {
    /// Its chat.
    pub chat: PortalKey<N>,
    /// Who could not be put into it, and why.
    pub failed: Vec<(N::UserId, String)>,
}
impl<N: Network> GroupMade<N> {
    /// With everybody in it.
    pub fn new(chat: PortalKey<N>) -> Self {
        Self { chat, failed: Vec::new() }
    }
}
