//! What has to be asked for because the gateway says only that it has changed: it is asked for beside everything else, so that what has to
//! wait holds up nothing; what is still to be asked for is stored with the cursor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio_util::task::JoinMap;

use super::{ApiError, Call, Hub, Wait};
use crate::ids::Id;

/// How long it is waited after Discord didn't answer.
const AGAIN: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// The pins of a channel.
    Pins(Id),
    /// The first message of a post, which shows its title and tags.
    Post(Id),
}

/// What Discord answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The pinned messages, oldest pin first.
    Pins(Vec<Id>),
    /// The message.
    Post(Value),
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Asking(JoinMap<Wanted, Option<Answer>>);

impl Asking {
    /// Asks for everything that is still to be asked for.
    pub(super) fn resume(
        &mut self,
        hub: &Arc<Hub>,
        pins: &BTreeMap<Id, String>,
        posts: &BTreeMap<Id, String>,
    ) {
        let pins = pins.keys().copied().map(Wanted::Pins);
        for wanted in pins.chain(posts.keys().copied().map(Wanted::Post)) {
            self.begin(hub, wanted);
        }
    }

    /// Asks; what is under way for the same may have been answered before the change, and is ended.
    pub(super) fn begin(&mut self, hub: &Arc<Hub>, wanted: Wanted) {
        self.0.spawn(wanted, ask(hub.clone(), wanted));
    }

    /// The next answer; waits for ever where none is to come.
    pub(super) async fn next(&mut self) -> (Wanted, Option<Answer>) {
        match self.0.join_next().await {
            // What ended without an answer has none.
            Some((wanted, answer)) => (wanted, answer.unwrap_or_default()),
            None => std::future::pending().await,
        }
    }
}

async fn ask(hub: Arc<Hub>, wanted: Wanted) -> Option<Answer> {
    loop {
        let answer = match wanted {
            Wanted::Pins(channel) => hub.pins(channel).await.map(Answer::Pins),
            Wanted::Post(post) => {
                let call = Call::get(format!("channels/{post}/messages/{post}"));
                hub.rest.ask(call, Wait::Yes).await.map(Answer::Post)
            }
        };
        match answer {
            Ok(answer) => return Some(answer),
            Err(error @ (ApiError::Refused { .. } | ApiError::Unreadable(_))) => {
                tracing::warn!(?wanted, %error, "something that has changed can't be read");
                return None;
            }
            Err(error) => {
                tracing::info!(?wanted, %error, "something that has changed is asked for again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
