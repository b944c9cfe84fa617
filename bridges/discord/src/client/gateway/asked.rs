//! What a connection asks for, because the gateway tells only that it has changed, or has never told it; and what becomes of the answers.

use landbridge_framework::Exit;

use super::{Follower, exit_of};
use crate::{
    client::asking::{Answer, Wanted},
    ids::Id,
};

/// Where it is noted that a channel's pins were asked for since it has a room.
fn pins_known(channel: Id) -> String {
    format!("pins:{channel}")
}

impl Follower {
    /// The pins of a channel have changed. `stamp` names that for ever.
    pub(super) fn want_pins(&mut self, channel: Id, stamp: String) {
        self.cursor.pins.insert(channel, stamp);
        self.asking.begin(&self.hub, Wanted::Pins(channel));
    }

    /// What was pinned before there was a room for it was never told: it is asked for once, which is noted.
    pub(super) async fn ask_for_old_pins(&mut self) -> Result<(), Exit> {
        let channels = self.hub.pinned_in(&self.hub.bridged(), &self.guilds, Id(0));
        for channel in channels {
            let known = self.inbox.cursor_of(&pins_known(channel)).await.map_err(exit_of)?;
            if known.is_none() && !self.cursor.pins.contains_key(&channel) {
                let stamp = format!("{}:old:{channel}", self.cursor.stamp(self.cursor.sequence));
                self.want_pins(channel, stamp);
            }
        }
        Ok(())
    }

    /// A channel has a room from now on; `None`: several have.
    pub(super) async fn room_opened(&mut self, channel: Option<Id>) -> Result<(), Exit> {
        match channel {
            Some(channel) => {
                let now = self.hub.clock.now_ms();
                for channel in self.hub.pinned_in(&[channel], &self.guilds, Id(0)) {
                    self.want_pins(channel, format!("opened:{now}:{channel}"));
                }
            }
            None => self.ask_for_old_pins().await?,
        }
        self.save(Vec::new()).await
    }

    /// What was asked for is known.
    pub(super) async fn answered(
        &mut self,
        wanted: Wanted,
        answer: Option<Answer>,
    ) -> Result<(), Exit> {
        match wanted {
            Wanted::Pins(channel) => {
                let Some(stamp) = self.cursor.pins.remove(&channel) else { return Ok(()) };
                let Some(Answer::Pins(ids)) = answer else { return self.save(Vec::new()).await };
                let pins = self.hub.pinned(channel, &ids, stamp);
                self.save(pins.into_iter().collect()).await?;
                let known = pins_known(channel);
                self.inbox.put_all(Vec::new(), Some((&known, "1"))).await.map_err(exit_of)?;
                Ok(())
            }
            Wanted::Post(post) => {
                let Some(stamp) = self.cursor.posts.remove(&post) else { return Ok(()) };
                let Some(Answer::Post(message)) = answer else {
                    return self.save(Vec::new()).await;
                };
                let retagged = self.hub.retagged(message, stamp);
                self.save(retagged.into_iter().collect()).await
            }
        }
    }
}
