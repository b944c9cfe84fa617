//! What events may relate to ([Threading](https://spec.matrix.org/v1.19/client-server-api/#validation-of-mthread-relationships),
//! [Avoiding duplicate annotations](https://spec.matrix.org/v1.19/client-server-api/#avoiding-duplicate-annotations)). Asked of local
//! users only; what other servers let pass is shown as it is.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId};

use super::{Draft, RoomError, builder::Builder};
use crate::{
    event::{Event, canonical_object},
    storage,
};

/// How an event relates to another one.
#[derive(Clone, Copy)]
struct Relation<'a> {
    kind: &'a str,
    to: &'a str,
    /// What an annotation says.
    key: Option<&'a str>,
}

impl<'a> Relation<'a> {
    fn of(content: &'a CanonicalJsonObject) -> Option<Self> {
        let relates_to = content.get("m.relates_to")?.as_object()?;
        let text = |name: &str| relates_to.get(name).and_then(CanonicalJsonValue::as_str);
        Some(Self { kind: text("rel_type")?, to: text("event_id")?, key: text("key") })
    }
}

impl Builder<'_> {
    /// Refuses threads on what relates to something itself, and annotations that their sender has made already.
    pub(super) async fn may_relate(
        &self,
        draft: &Draft,
        content: &CanonicalJsonObject,
    ) -> Result<(), RoomError> {
        let relation = Relation::of(content).filter(|_| draft.state_key.is_none());
        match relation {
            Some(relation) if relation.kind == "m.thread" => self.may_be_root(relation.to).await,
            Some(relation @ Relation { kind: "m.annotation", key: Some(_), .. }) => {
                if self.is_annotated(draft, relation).await? {
                    let text = "you have annotated that event so already";
                    return Err(RoomError::DuplicateAnnotation(text.to_owned()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn may_be_root(&self, id: &str) -> Result<(), RoomError> {
        let Ok(id) = <&EventId>::try_from(id) else { return Ok(()) };
        let Some(root) = self.event_by_id(id).await? else { return Ok(()) };
        if root.room == self.view.info.nid && relates(&root) {
            let text = "a thread can't begin with an event that relates to another one";
            return Err(RoomError::Unsuitable(text.to_owned()));
        }
        Ok(())
    }

    async fn is_annotated(&self, draft: &Draft, new: Relation<'_>) -> Result<bool, RoomError> {
        let (sender, kind) = (draft.sender.as_str(), draft.kind.to_string());
        // First what isn't durable yet: what becomes so meanwhile is in the table then.
        let pending = self.published.pending.all();
        let room = self.view.info.nid;
        let of = storage::relations::Annotations { room, to: new.to, sender, kind: &kind };
        let known = storage::relations::annotations(&self.ctx.db, &of).await?;
        let mut events = self.ctx.events.many(&known).await?;
        events.extend(pending.iter().cloned());
        let redacted = |event: &Event| {
            let id = Some(&event.pdu.event_id);
            pending.iter().any(|pending| pending.pdu.redacts.as_ref() == id)
        };
        Ok(events.iter().any(|event| {
            event.pdu.sender == draft.sender
                && *event.kind() == draft.kind
                && !event.is_state()
                && annotates(event, new)
                && !redacted(event)
        }))
    }
}

fn relates(event: &Event) -> bool {
    let content = event.pdu.content().get();
    content.contains("m.relates_to")
        && canonical_object(content).is_ok_and(|content| Relation::of(&content).is_some())
}

fn annotates(event: &Event, new: Relation<'_>) -> bool {
    let Ok(content) = canonical_object(event.pdu.content().get()) else { return false };
    Relation::of(&content)
        .is_some_and(|known| (known.kind, known.to, known.key) == (new.kind, new.to, new.key))
}
