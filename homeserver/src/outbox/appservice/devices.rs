//! Follows the feed for what the committer cannot tell by itself: whose devices concern which service
//! (MSC3202). That takes looking at rooms, which must not be done inside a commit.
//!
//! Changes of devices are durable elsewhere; a position remembers up to where they were handed on, so that none is
//! missed when the server stops in between.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId, events::TimelineEventType};

use super::{Outbox, Rest, ephemeral};
use crate::feed::{Change, FeedReader, Next, Published};
use crate::nid::Pos;
use crate::room::{Interest, Membership};
use crate::storage::appservice_outbox::{Item, ItemKind};
use crate::storage::{StorageError, devices, server};

/// The fact that holds the position.
const FACT: &str = "appservice_device_lists";

/// Follows the feed for as long as it is polled.
pub(super) async fn follow(outbox: Outbox, mut reader: FeedReader) {
    let Some(rest) = outbox.0.rest.get() else { return };
    let mut position = match server::get(&outbox.0.db, FACT).await {
        Ok(stored) => {
            stored.and_then(|text| text.parse().ok()).unwrap_or_else(|| outbox.0.feed.head())
        }
        Err(error) => {
            tracing::error!(%error, "the position of device lists could not be read");
            outbox.0.feed.head()
        }
    };
    // What changed before this start.
    let mut behind = true;
    loop {
        if behind {
            match hand_on(&outbox, rest, position).await {
                Ok(to) => position = to,
                Err(error) => {
                    tracing::error!(%error, "changed devices could not be handed to appservices");
                }
            }
        }
        behind = match reader.next().await {
            Next::Group(group) => {
                for published in group.iter() {
                    rest.ephemeral.changed(&published.change);
                    left(&outbox, rest, published).await;
                }
                group.iter().any(|published| matches!(published.change, Change::DeviceList { .. }))
            }
            Next::Lagged => true,
            Next::Closed => return,
        };
    }
}

/// Tells the services of all users whose devices changed after `from`.
async fn hand_on(outbox: &Outbox, rest: &Rest, from: Pos) -> Result<Pos, StorageError> {
    let to = outbox.0.feed.head();
    let mut concerned: BTreeMap<OwnedUserId, Interest> = BTreeMap::new();
    if outbox.0.appservices.all().iter().any(|service| service.registration().msc3202) {
        for user in devices::changed_between(&outbox.0.db, from, to).await? {
            let interest = ephemeral::shared(outbox, &user).await;
            if !interest.is_empty() {
                concerned.insert(user, interest);
            }
        }
    }
    if !concerned.is_empty() {
        tell(outbox, rest, concerned, ItemKind::DevicesChanged, Some(to)).await?;
    }
    Ok(to)
}

/// A user has left a room: the services that now share none with them need their devices no longer.
async fn left(outbox: &Outbox, rest: &Rest, published: &Published) {
    let Change::Event(event, interest) = &published.change else { return };
    let Some(user) = left_user(event) else { return };
    let concerned = outbox.0.appservices.listeners(*interest);
    if !concerned.iter().any(|service| service.registration().msc3202) {
        return;
    }
    let gone = interest.without(ephemeral::shared(outbox, &user).await);
    if !gone.is_empty() {
        let users = BTreeMap::from([(user, gone)]);
        if let Err(error) = tell(outbox, rest, users, ItemKind::DevicesLeft, None).await {
            tracing::warn!(%error, "an appservice could not be told of a user who left");
        }
    }
}

fn left_user(event: &crate::event::Event) -> Option<OwnedUserId> {
    #[derive(serde::Deserialize)]
    struct Content {
        membership: String,
    }
    if *event.kind() != TimelineEventType::RoomMember {
        return None;
    }
    let content: Content = serde_json::from_str(event.pdu.content().get()).ok()?;
    match Membership::parse(&content.membership)? {
        Membership::Leave | Membership::Ban => UserId::parse(event.pdu.state_key()?).ok(),
        _ => None,
    }
}

/// Puts users into the queues of the services that they concern, and remembers the position in the same commit.
async fn tell(
    outbox: &Outbox,
    rest: &Rest,
    users: BTreeMap<OwnedUserId, Interest>,
    kind: ItemKind,
    position: Option<Pos>,
) -> Result<(), StorageError> {
    let outbox = outbox.clone();
    let done = rest.committer.run(move |tx| {
        let (outbox, users) = (outbox.clone(), users.clone());
        Box::pin(async move {
            for (user, interest) in users {
                let pos = tx.next_pos();
                for service in outbox.0.appservices.listeners(interest) {
                    if service.registration().msc3202 {
                        let item =
                            Item { pos, part: 0, kind, item: user.to_string(), device: None };
                        outbox.add(service.number(), item);
                    }
                }
            }
            if let Some(position) = position {
                server::set(tx, FACT, &position.to_string()).await?;
            }
            Ok(())
        })
    });
    done.await.map_err(|error| StorageError::Damaged(error.to_string()))
}
