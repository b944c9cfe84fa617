//! Updates (core.telegram.org/api/updates), stored before their counters move: what is in the inbox is what `pts` says. Gaps are noticed
//! by the counters and filled by differences; where even those have gone, by history.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use grammers_session::{
    types::{ChannelState, UpdatesState},
    updates::{MessageBox, MessageBoxes, PrematureEndReason, State, UpdateAndPeers, UpdatesLike},
};
use grammers_tl_types as tl;
use landbridge_framework::{Closed, EventKey, LoginState};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{account::Live, api::WAITING, connect::End, error::ApiError, prepare::Prepared};
use crate::{ids::Peer, raw::Raw};

/// How many updates of a channel are asked for at once: as many as people's accounts, and bots, may.
const CHANNEL_LIMIT: i32 = 100;
const CHANNEL_LIMIT_BOT: i32 = 100_000;
/// Longer than this nothing is waited for without saying that the connection is lost.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Where the account's own stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AccountMark {
    pts: i32,
    qts: i32,
    date: i32,
    seq: i32,
    /// The highest message number seen, for when more was missed than a difference holds.
    last: i32,
}

/// Where a channel's stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ChannelMark {
    pub(super) pts: i32,
    pub(super) last: i32,
}

pub(super) fn channel_stream(id: i64) -> String {
    format!("pts/c{id}")
}

/// Follows the updates of one connection.
pub(super) struct Follower {
    pub(super) live: Arc<Live>,
    pub(super) boxes: MessageBoxes,
    pub(super) last: i32,
    pub(super) channels: BTreeMap<i64, ChannelMark>,
    /// Channels whose updates begin to count, and where.
    begun: mpsc::UnboundedReceiver<(i64, i32)>,
}

impl Follower {
    /// Where it was left off; at the present if it never began.
    pub(super) async fn begin(
        live: Arc<Live>,
        begun: mpsc::UnboundedReceiver<(i64, i32)>,
    ) -> Result<Self, End> {
        let stored = live.inbox.cursor().await?;
        let mark = stored.and_then(|text| serde_json::from_str::<AccountMark>(&text).ok());
        let mut channels = BTreeMap::new();
        let mut unmarked = Vec::new();
        for portal in live.inbox.portals().await? {
            let Peer::Channel(id) = portal.id.peer else { continue };
            if channels.contains_key(&id) || unmarked.contains(&id) {
                continue;
            }
            let stored = live.inbox.cursor_of(&channel_stream(id)).await?;
            match stored.and_then(|text| serde_json::from_str::<ChannelMark>(&text).ok()) {
                Some(mark) => {
                    live.note_newest(Peer::Channel(id), mark.last);
                    channels.insert(id, mark);
                }
                None => unmarked.push(id),
            }
        }
        let mut follower = Self { live, boxes: MessageBoxes::new(), last: 0, channels, begun };
        match mark {
            Some(mark) => {
                follower.live.note_newest(Peer::User(follower.live.me), mark.last);
                follower.last = mark.last;
                follower.boxes = MessageBoxes::load(UpdatesState {
                    // Nought would mean that there is no counter.
                    pts: mark.pts.max(1),
                    qts: mark.qts,
                    date: mark.date,
                    seq: mark.seq,
                    channels: follower.channel_states(),
                });
            }
            None => {
                follower.begin_anew().await?;
                if !follower.live.bot {
                    follower.latest_chats().await?;
                }
            }
        }
        for id in unmarked {
            follower.ask_where(id).await?;
        }
        Ok(follower)
    }

    fn channel_states(&self) -> Vec<ChannelState> {
        self.channels.iter().map(|(id, mark)| ChannelState { id: *id, pts: mark.pts }).collect()
    }

    /// Asks where a channel stands whose updates were not followed yet.
    async fn ask_where(&mut self, id: i64) -> Result<(), End> {
        let Ok(channel) = self.live.peers.input_channel(id).await else { return Ok(()) };
        let request = tl::functions::channels::GetFullChannel { channel };
        let full = match self.live.api.invoke(&request).await {
            Ok(tl::enums::messages::ChatFull::Full(full)) => full,
            Err(error) if error.is_temporary() || error.is_logged_out() => return Err(error.into()),
            Err(error) => {
                tracing::info!(channel = id, %error, "a channel can't be followed");
                return Ok(());
            }
        };
        self.live.peers.learn(&full.users, &full.chats).await?;
        if let tl::enums::ChatFull::ChannelFull(channel) = full.full_chat {
            self.begin_channel(id, channel.pts).await?;
        }
        Ok(())
    }

    /// A channel's updates count from here on, unless they did before.
    async fn begin_channel(&mut self, id: i64, pts: i32) -> Result<(), End> {
        if !self.channels.contains_key(&id) {
            self.boxes.try_set_channel_state(id, pts);
            self.keep_channel(id, pts, Vec::new()).await?;
        }
        Ok(())
    }

    /// Takes the present as the beginning.
    async fn begin_anew(&mut self) -> Result<(), End> {
        let tl::enums::updates::State::State(state) =
            self.live.api.invoke(&tl::functions::updates::GetState {}).await?;
        self.boxes = MessageBoxes::load(UpdatesState {
            pts: state.pts.max(1),
            qts: state.qts,
            date: state.date,
            seq: state.seq,
            channels: self.channel_states(),
        });
        self.keep_account(Vec::new()).await?;
        Ok(())
    }

    pub(super) async fn run(
        &mut self,
        updates: &mut mpsc::Receiver<UpdatesLike>,
    ) -> Result<std::convert::Infallible, End> {
        loop {
            let deadline = self.boxes.check_deadlines();
            if let Some(request) = self.boxes.get_difference() {
                self.difference(&request).await?;
                continue;
            }
            if let Some(request) = self.boxes.get_channel_difference() {
                self.channel_difference(request).await?;
                continue;
            }
            // Full: the connection has dropped some, which nothing but a difference shows if they were the last.
            let overflowed = updates.len() >= WAITING;
            let news = tokio::select! {
                news = tokio::time::timeout_at(deadline.into(), updates.recv()) => news,
                Some((id, pts)) = self.begun.recv() => {
                    self.begin_channel(id, pts).await?;
                    continue;
                }
            };
            let news = match news {
                Ok(Some(news)) => news,
                Ok(None) => return Err(ApiError::NoAnswer("the connection is gone".into()).into()),
                Err(_) => continue,
            };
            if matches!(news, UpdatesLike::ConnectionClosed) {
                self.live
                    .inbox
                    .state(LoginState::Transient("the connection to Telegram was lost".into()));
            }
            // A gap is noted within, and filled by the next round.
            if let Ok(batch) = self.boxes.process_updates(news) {
                self.store(batch).await?;
            }
            if overflowed && self.boxes.process_updates(UpdatesLike::MalformedUpdates).is_ok() {
                tracing::debug!("updates were dropped, and no gap can be seen");
            }
        }
    }

    async fn difference(
        &mut self,
        request: &tl::functions::updates::GetDifference,
    ) -> Result<(), End> {
        self.live.inbox.state(LoginState::Backfilling);
        let answer = match self.live.api.invoke(request).await {
            Ok(answer) => answer,
            Err(error)
                if error.name().is_some_and(|name| name.starts_with("PERSISTENT_TIMESTAMP_")) =>
            {
                // Too old to be told apart from nonsense: begin at the present, and fill what is between from history.
                tracing::warn!(%error, "where the account's updates stand is no longer known to Telegram");
                self.fill_account().await?;
                self.begin_anew().await?;
                self.live.inbox.state(LoginState::Connected);
                return Ok(());
            }
            Err(error) => return self.wait_or(error).await,
        };
        if matches!(answer, tl::enums::updates::Difference::TooLong(_)) {
            // History first: the counter moves past what is missing.
            self.fill_account().await?;
        }
        let batch = self.boxes.apply_difference(answer);
        self.store(batch).await?;
        self.keep_account(Vec::new()).await?;
        self.live.inbox.state(LoginState::Connected);
        Ok(())
    }

    async fn channel_difference(
        &mut self,
        mut request: tl::functions::updates::GetChannelDifference,
    ) -> Result<(), End> {
        let tl::enums::InputChannel::Channel(channel) = &request.channel else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        let id = channel.channel_id;
        request.channel = match self.live.peers.input_channel(id).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(channel = id, %error, "a channel's updates can't be asked for");
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
        };
        request.limit = if self.live.bot { CHANNEL_LIMIT_BOT } else { CHANNEL_LIMIT };
        let answer = match self.live.api.invoke(&request).await {
            Ok(answer) => answer,
            Err(error) if error.is("CHANNEL_PRIVATE") || error.is("CHANNEL_INVALID") => {
                tracing::info!(channel = id, %error, "this account is no longer in a channel");
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
            Err(error)
                if error.is("PERSISTENT_TIMESTAMP_OUTDATED")
                    || matches!(&error, ApiError::Refused(rpc) if rpc.code >= 500) =>
            {
                tracing::warn!(channel = id, %error, "Telegram can't tell a channel's updates now");
                self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
                return Ok(());
            }
            Err(error) => return self.wait_or(error).await,
        };
        let too_long = matches!(answer, tl::enums::updates::ChannelDifference::TooLong(_));
        let (pts, top) = match &answer {
            tl::enums::updates::ChannelDifference::Empty(difference) => (Some(difference.pts), 0),
            tl::enums::updates::ChannelDifference::Difference(difference) => {
                (Some(difference.pts), 0)
            }
            tl::enums::updates::ChannelDifference::TooLong(difference) => {
                match &difference.dialog {
                    tl::enums::Dialog::Dialog(dialog) => (dialog.pts, dialog.top_message),
                    _ => (None, 0),
                }
            }
        };
        let filled = too_long && self.fill_channel(id, top).await?;
        let (updates, users, chats) = self.boxes.apply_channel_difference(answer);
        // What comes with it is the newest, which history has brought, in order with the rest.
        let updates = if filled { Vec::new() } else { updates };
        self.store((updates, users, chats)).await?;
        if let Some(pts) = pts {
            self.keep_channel(id, pts, Vec::new()).await?;
        }
        if too_long {
            self.noticed_gap(Peer::Channel(id)).await?;
        }
        Ok(())
    }

    /// Waits as Telegram wants; what can't be waited for ends the connection.
    pub(super) async fn wait_or(&self, error: ApiError) -> Result<(), End> {
        match error.wait() {
            Some((wait, _)) if wait <= LONGEST_WAIT => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    /// Stores updates, each stream's with its counter.
    async fn store(&mut self, (updates, users, chats): UpdateAndPeers) -> Result<(), End> {
        self.live.peers.learn(&users, &chats).await?;
        let mut by_channel: BTreeMap<i64, (i32, Vec<(EventKey, Raw)>)> = BTreeMap::new();
        let mut account = Vec::new();
        let mut numbered = false;
        let mut passing = Vec::new();
        for (update, state) in updates {
            self.see(&update, &users).await?;
            let channel = channel_of(&state);
            match self.live.prepare(update).await? {
                Prepared::Passing(raw) => passing.push(raw),
                Prepared::Nothing => {}
                Prepared::Lasting(key, raw) => match channel {
                    Some((id, _)) => by_channel.entry(id).or_default().1.push((key, raw)),
                    None => account.push((key, raw)),
                },
            }
            match channel {
                Some((id, pts)) => {
                    let (known, _) = by_channel.entry(id).or_default();
                    *known = (*known).max(pts);
                }
                None => numbered |= state.message_box.is_some(),
            }
        }
        for (id, (pts, events)) in by_channel {
            self.keep_channel(id, pts, events).await?;
        }
        if numbered || !account.is_empty() {
            self.keep_account(account).await?;
        }
        for raw in passing {
            self.live.inbox.passing(raw).await?;
        }
        Ok(())
    }

    /// Notes what an update's message tells of numbers and people.
    async fn see(
        &mut self,
        update: &tl::enums::Update,
        users: &[tl::enums::User],
    ) -> Result<(), End> {
        let message = match update {
            tl::enums::Update::NewMessage(update) => &update.message,
            tl::enums::Update::NewChannelMessage(update) => &update.message,
            _ => return Ok(()),
        };
        let Some((_, peer, id)) = super::prepare::message_key(message) else { return Ok(()) };
        self.live.peers.seen_in(users, peer, id).await?;
        self.saw(peer, id);
        Ok(())
    }

    /// A message with this number is stored, or about to be with its counter.
    pub(super) fn saw(&mut self, peer: Peer, id: i32) {
        self.live.note_newest(peer, id);
        match peer {
            Peer::Channel(channel) => {
                let mark = self.channels.entry(channel).or_default();
                mark.last = mark.last.max(id);
            }
            Peer::User(_) | Peer::Group(_) => self.last = self.last.max(id),
        }
    }

    pub(super) async fn keep_channel(
        &mut self,
        id: i64,
        pts: i32,
        events: Vec<(EventKey, Raw)>,
    ) -> Result<(), Closed> {
        let mark = self.channels.entry(id).or_default();
        mark.pts = mark.pts.max(pts);
        let text = serde_json::to_string(mark).map_err(|error| Closed::Store(error.to_string()))?;
        self.live.inbox.put_all(events, Some((&channel_stream(id), &text))).await?;
        Ok(())
    }

    pub(super) async fn keep_account(&self, events: Vec<(EventKey, Raw)>) -> Result<(), Closed> {
        let state = self.boxes.session_state();
        let mark = AccountMark {
            pts: state.pts,
            qts: state.qts,
            date: state.date,
            seq: state.seq,
            last: self.last,
        };
        let text =
            serde_json::to_string(&mark).map_err(|error| Closed::Store(error.to_string()))?;
        self.live.inbox.put_all(events, Some(("", &text))).await?;
        Ok(())
    }
}

/// The channel whose counter an update moved, and to what.
fn channel_of(state: &State) -> Option<(i64, i32)> {
    match state.message_box {
        Some(MessageBox::Channel { channel_id, pts }) => Some((channel_id, pts)),
        _ => None,
    }
}
