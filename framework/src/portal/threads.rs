//! Threads that are chats of their own: shown as Matrix threads in the room of the chat they belong to, or as rooms, as is
//! chosen per chat.

use std::{borrow::Cow, sync::Arc};

use super::Portal;
use crate::{
    engine::Engine,
    event::{Body, RemoteEvent, ThreadMode},
    network::PortalKey,
    plain::Plain,
    store::{PortalRow, StoreError},
};

/// Whether something concerns a thread as a chat, and so no other chat's room.
fn is_about_the_chat(body: &Body<Plain>) -> bool {
    matches!(
        body,
        Body::ChatInfo(_)
            | Body::Members(_)
            | Body::ChatGone { .. }
            | Body::PortalMoved { .. }
            | Body::MarkUnread(_)
            | Body::Resync
    )
}

impl Engine {
    /// How a chat's threads are shown.
    pub(crate) fn thread_mode(&self, row: &PortalRow) -> ThreadMode {
        row.threads.unwrap_or(self.config.threads)
    }

    /// The portal that an event belongs to: its chat's, or, in a thread, the one whose room shows the thread.
    pub(crate) async fn portal_for_event(
        &self,
        event: &RemoteEvent<Plain>,
    ) -> Result<Arc<Portal>, StoreError> {
        if let Some(thread) = &event.thread {
            // Its mode is that of its portal, which is known from now on.
            self.portal_for_key(&thread.chat).await?;
        }
        match self.known_portal_for(event).await? {
            Some(portal) => Ok(portal),
            None => self.portal_for_key(&event.portal).await,
        }
    }

    /// The same, if the portal is known.
    pub(crate) async fn known_portal_for(
        &self,
        event: &RemoteEvent<Plain>,
    ) -> Result<Option<Arc<Portal>>, StoreError> {
        let own = self.known_portal(&event.portal).await?;
        let Some(thread) = &event.thread else { return Ok(own) };
        // What has begun as a room goes on as one.
        if own.as_ref().is_some_and(|own| own.room_id().is_some()) {
            return Ok(own);
        }
        let Some(chat) = self.known_portal(&thread.chat).await? else { return Ok(own) };
        // And what has begun as a Matrix thread as such.
        let shown = self.thread_mode(&chat.row()) == ThreadMode::Threads
            || self.store.last_in_thread(chat.id, &thread.root).await?.is_some();
        Ok(if shown { Some(chat) } else { own })
    }

    /// Whether an event belongs to a chat, as itself or in a thread that its room shows.
    pub(crate) fn belongs(&self, portal: &PortalRow, event: &RemoteEvent<Plain>) -> bool {
        let in_thread = |key: &PortalKey<Plain>| {
            event.thread.as_ref().is_some_and(|thread| thread.chat == *key)
                && self.thread_mode(portal) == ThreadMode::Threads
        };
        event.portal == portal.key || in_thread(&portal.key)
    }
}

/// An event as it is shown in a portal's room: in a thread's room as it is, in the room of the chat that the thread belongs
/// to in a Matrix thread. `None`: it is not shown there.
pub(super) fn placed<'a>(
    portal: &Portal,
    event: &'a RemoteEvent<Plain>,
) -> Option<Cow<'a, RemoteEvent<Plain>>> {
    let Some(thread) = &event.thread else { return Some(Cow::Borrowed(event)) };
    if portal.row().key == event.portal {
        return Some(Cow::Borrowed(event));
    }
    if is_about_the_chat(&event.body) {
        return None;
    }
    let mut event = event.clone();
    let root = thread.root.clone();
    match &mut event.body {
        Body::Message(message) if message.id != root => message.thread = Some(root),
        Body::Edit { new, .. } if new.id != root => new.thread = Some(root),
        _ => {}
    }
    Some(Cow::Owned(event))
}
