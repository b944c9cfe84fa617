//! Albums of the network: what belongs together comes as messages of its own, one after the other. Those that wait together
//! are taken together. Nothing is collected in memory: until the gallery's row is committed, with the ends of all their tasks,
//! they are tasks as any other.

use std::{collections::VecDeque, sync::Arc};

use super::convert::Verdict;
use crate::{
    engine::Engine,
    event::{AlbumItem, Body, Content, MediaKind, MediaPart, Message, RemoteEvent, Sender},
    inbox::decode::Decoded,
    plain::Plain,
    store::{Batch, StoreError, TaskRow},
};

/// How many files one gallery shows. Networks have ten or so; an event holds about sixty (MSC4274, "Potential issues").
pub(super) const MAX_ITEMS: usize = 20;
/// How long the last of what came is waited for more of its album, in milliseconds, counted from when it was read. What came
/// before the bridge was started again doesn't wait.
const SETTLES: i64 = 700;

/// An album's message and what else there is of it.
pub(super) enum Gathered {
    /// All of it, in one event, with the tasks that end with the first one.
    Whole(Decoded, Vec<TaskRow>),
    /// More of it may come within some milliseconds.
    Wait(i64),
    /// More of it may be waiting behind what was read.
    Again,
}

/// The file of a message that can be shown in a gallery.
pub(super) fn file_of(message: &Message<Plain>) -> Option<&MediaPart> {
    let [part] = message.parts.as_slice() else { return None };
    let Content::Media(media) = &part.content else { return None };
    let fits = matches!(
        media.kind,
        MediaKind::Image | MediaKind::Gif | MediaKind::Video | MediaKind::Audio | MediaKind::File
    );
    (fits && part.id.0.is_empty()).then_some(media)
}

/// The album of a message that can be shown in a gallery. What the network says is an echo is known already.
pub(super) fn album_of(message: &Message<Plain>) -> Option<&str> {
    let album = message.album.as_deref().filter(|album| !album.is_empty())?;
    (message.echo_of.is_none() && file_of(message).is_some()).then_some(album)
}

/// What of an album an event is, with the album.
pub(super) fn item(event: &RemoteEvent<Plain>) -> Option<(&str, &Message<Plain>)> {
    let Body::Message(message) = &event.body else { return None };
    Some((album_of(message)?, message))
}

impl Engine {
    /// Whether two events are of one album, of which the first is.
    pub(super) fn is_one_album(
        &self,
        via: &str,
        one: &RemoteEvent<Plain>,
        other: &RemoteEvent<Plain>,
    ) -> bool {
        let (Some((album, a)), Some((other_album, b))) = (item(one), item(other)) else {
            return false;
        };
        let thread = |event: &RemoteEvent<Plain>| {
            event.thread.as_ref().map(|thread| (thread.chat.clone(), thread.root.clone()))
        };
        album == other_album
            && self.actor(&one.sender, via) == self.actor(&other.sender, via)
            && one.portal == other.portal
            && thread(one) == thread(other)
            && (&a.thread, &a.profile) == (&b.thread, &b.profile)
            && a.timer() == b.timer()
    }

    fn put_back(&self, task: &TaskRow, decoded: Decoded) {
        self.portals.decoded.insert((task.inbox_seq, task.place), decoded);
    }

    /// Keeps a task's event for later; what was put together is put together anew.
    pub(super) fn put_back_alone(&self, task: &TaskRow, taken: &[TaskRow], decoded: &Decoded) {
        if taken.is_empty() {
            self.put_back(task, decoded.clone());
        }
    }

    /// Takes what belongs to a task's album from the tasks behind it; what belongs to none is whole as it is. `full`: there
    /// may be more tasks than were read.
    pub(super) async fn gather(
        &self,
        task: &TaskRow,
        first: Decoded,
        behind: &mut VecDeque<TaskRow>,
        full: bool,
    ) -> Result<Gathered, StoreError> {
        if item(&first.1).is_none() {
            return Ok(Gathered::Whole(first, Vec::new()));
        }
        let mut taken: Vec<(TaskRow, Decoded)> = Vec::new();
        while taken.len() + 1 < MAX_ITEMS {
            let Some(next) = behind.front() else { break };
            // What can't be read is told of in its turn.
            let Ok(decoded) = self.event_of(next).await? else { break };
            // `Sender::Me` is whose login it came by.
            let mine =
                matches!(first.1.sender, Sender::Me) || matches!(decoded.1.sender, Sender::Me);
            let same_login = !mine || first.0 == decoded.0;
            if !same_login || !self.is_one_album(&first.0, &first.1, &decoded.1) {
                self.put_back(next, decoded);
                break;
            }
            let Some(next) = behind.pop_front() else { break };
            taken.push((next, decoded));
        }
        if behind.is_empty() && taken.len() + 1 < MAX_ITEMS {
            let latest = taken.last().map_or(task.decoded_at, |(task, _)| task.decoded_at);
            let age = self.now() - latest;
            let more = if full {
                Some(Gathered::Again)
            } else if (0..SETTLES).contains(&age) {
                Some(Gathered::Wait(SETTLES - age))
            } else {
                None
            };
            if let Some(more) = more {
                self.put_back(task, first);
                for (task, decoded) in taken {
                    self.put_back(&task, decoded);
                }
                return Ok(more);
            }
        }
        if taken.is_empty() {
            return Ok(Gathered::Whole(first, Vec::new()));
        }
        let (via, mut event) = (first.0.clone(), first.1.clone());
        let mut tasks = Vec::new();
        if let Body::Message(message) = &mut event.body {
            for (task, decoded) in taken {
                if let Body::Message(other) = &decoded.1.body {
                    let (at, order) = (decoded.1.at, decoded.1.order);
                    message.rest.push(AlbumItem { message: other.clone(), at, order });
                }
                tasks.push(task);
            }
        }
        Ok(Gathered::Whole(Arc::new((via, event)), tasks))
    }
}

/// What ends a task ends those that were taken with it.
pub(super) fn ends_all(batch: &mut Batch, verdict: &Verdict, taken: &[TaskRow]) {
    if matches!(verdict, Verdict::Send { .. } | Verdict::Drop(_)) {
        for task in taken {
            batch.task_done(task.seq);
        }
    }
}
