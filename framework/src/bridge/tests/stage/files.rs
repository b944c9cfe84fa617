//! Files of the stage, and its directory.

use bytes::Bytes;
use futures::StreamExt;

use super::{Answer, Filed, Here, Session, Stage, What};
use crate::{
    event::{MediaKind, MediaPart, MediaRef},
    handlers::{Gallery, GroupField, GroupKind, GroupMade, LiveLocation, MediaStream, NewGroup},
    prelude::*,
};

/// A file as a message.
pub(super) fn message(file: &Filed) -> Message<Stage> {
    let mut part = MediaPart::new(&*file.file, MediaKind::Image, &*file.file);
    part.caption = file.caption.as_deref().map(Rich::plain);
    Message::of(&*file.id, Content::Media(part)).in_album(file.album.clone())
}

pub(super) async fn gallery(Via(c): Here, Key(k): Key, g: Gallery) -> Answer<Sent<Stage>> {
    let names: Vec<_> = g.items.iter().map(|item| &*item.name).collect();
    let caption = g.caption.map(|caption| caption.text().to_owned()).unwrap_or_default();
    let id = c.stage.ask(&k, format!("gallery {caption}: {}", names.join(", "))).await;
    Ok(Sent::Many((1..=names.len()).map(|number| format!("{id}/{number}")).collect()))
}

/// Each time it is asked something new, though the message is one.
pub(super) async fn live(Via(c): Here, Key(k): Key, l: LiveLocation<Stage>) -> Answer<Sent<Stage>> {
    let at = l.place.map(|place| format!("{},{}", place.lat, place.lon)).unwrap_or_default();
    let what = match (&l.message, l.ends) {
        (None, _) => format!("is at {at} for {} min", l.lasts.as_secs().div_ceil(60)),
        (Some(message), false) => format!("{} is now {at}", message.id),
        (Some(message), true) => format!("{} ends", message.id),
    };
    let id = c.stage.ask(&k, what).await;
    Ok(Sent::now(l.message.map_or(id, |message| message.id)))
}

pub(super) fn group_kind() -> GroupKind {
    GroupKind {
        id: "group",
        title: "group",
        name: GroupField::from_to(1, 20),
        topic: GroupField::up_to(50),
        members: GroupField::from_to(1, 5),
        ..GroupKind::default()
    }
}

/// Its chat is told of at once, as networks do.
pub(super) async fn group(
    Via(c): Here,
    Key(k): Key,
    g: NewGroup<Stage>,
) -> Answer<GroupMade<Stage>> {
    let (name, topic) = (g.name.unwrap_or_default(), g.topic.unwrap_or_default());
    let mut members = g.members;
    members.sort();
    let id = c.stage.ask(&k, format!("group {name} ({topic}): {}", members.join(", "))).await;
    if c.stage.is_silent(&id) {
        let (name, text) = ("welcome".into(), "welcome".into());
        c.stage.tell(&id, "bob", What::Say { id: name, text });
    }
    let failed = members.into_iter().filter(|id| id == "shy");
    let failed = failed.map(|id| (id, "they don't want to".to_owned())).collect();
    Ok(GroupMade { chat: PortalKey::shared(id), failed })
}

pub(super) async fn edit(
    Via(c): Here,
    Key(k): Key,
    Targets(all): Targets<Stage>,
    e: Edited<Stage>,
) -> Answer<Done> {
    let all: Vec<_> = all.into_iter().map(|target| target.id).collect();
    c.stage.ask(&k, format!("edit {}: {}", all.join(", "), e.body.text())).await;
    Ok(Done)
}

pub(super) struct Files;
impl MediaSource<Stage> for Files {
    async fn open(&self, client: &Session, media: &MediaRef) -> Result<MediaStream, NetError> {
        if media.0 == "missing" {
            return Err(NetError::permanent("there is no such file"));
        }
        client.stage.state().fetched += 1;
        let bytes = Bytes::from(format!("GIF89a {}", media.0));
        let bytes = futures::stream::iter([Ok(bytes)]).boxed();
        Ok(MediaStream { mime: Some("image/gif".into()), size: None, bytes })
    }
}

impl Directory<Stage> for Files {
    async fn resolve(&self, _: &Session, query: &str) -> Result<Option<String>, NetError> {
        Ok(Some(query.into()))
    }
    async fn search(&self, _: &Session, _: &str) -> Result<Vec<(String, UserInfo)>, NetError> {
        Ok(Vec::new())
    }
    async fn open_dm(&self, _: &Session, user: &String) -> Result<PortalKey<Stage>, NetError> {
        Ok(PortalKey::shared(format!("dm-{user}")))
    }
    async fn find_chat(
        &self,
        _: &Session,
        query: &str,
    ) -> Result<Option<PortalKey<Stage>>, NetError> {
        Ok(Some(PortalKey::shared(query)))
    }
}
