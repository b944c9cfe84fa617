//! One answer, from its span of positions to its body.

use std::collections::HashSet;

use ruma::OwnedUserId;

use super::{Request, devices, ephemeral, plan, rooms};
use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::nid::{Pos, RoomNid};
use crate::services::presence;
use crate::services::push_rules::PUSH_RULES;
use crate::storage::{account_data, to_device};
use crate::sync::account_data::{write_account_data, write_push_rules};
use crate::sync::json::Writer;
use crate::sync::lazy::Session;
use crate::sync::sticky::{self, MAX_STICKY};
use crate::sync::token::SyncToken;
use crate::sync::viewer::Viewer;

/// Messages to a device in one answer, as the specification recommends. Further ones come with the next answers.
const MAX_TO_DEVICE: i64 = 100;

/// An answer that is being built.
pub(super) struct Build<'a> {
    pub(super) app: &'a App,
    pub(super) requester: &'a Requester,
    pub(super) request: &'a Request,
    pub(super) viewer: &'a Viewer,
    /// What the client has; nothing of it when `None`.
    pub(super) since: Option<Pos>,
    /// Messages to the device after this position are told.
    messages_since: Pos,
    /// Sticky events after this position are told.
    sticky_since: Pos,
    /// Whether the client came with a token that is of no use any more, and thinks that it has something.
    pub(super) starting_over: bool,
    /// Ephemeral changes after this one are told.
    pub(super) ephemeral_since: i64,
    /// Whether the client's ephemeral position is of an earlier run of the server.
    pub(super) fresh_boot: bool,
}

/// An answer.
pub(super) struct Answer {
    pub(super) body: String,
    pub(super) token: SyncToken,
    /// Whether it tells anything.
    pub(super) something: bool,
}

/// Who came into the user's sight and who left it within the span.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Users who now share a room with him and may not have before.
    pub(super) came: HashSet<OwnedUserId>,
    /// Users who left a room that he is in, or whose room he left.
    pub(super) went: HashSet<OwnedUserId>,
}

impl<'a> Build<'a> {
    pub(super) fn new(
        app: &'a App,
        requester: &'a Requester,
        request: &'a Request,
        viewer: &'a Viewer,
        starting_over: bool,
    ) -> Self {
        let boot = app.feed.ephemeral().boot();
        let same_boot = request.since.filter(|token| token.boot == boot);
        Self {
            app,
            requester,
            request,
            viewer,
            since: request.since.map(|token| token.pos),
            messages_since: request.since.map_or(0, |token| token.to_device),
            sticky_since: request.since.map_or(0, |token| token.sticky),
            starting_over,
            ephemeral_since: same_boot.map_or(0, |token| token.ephemeral),
            fresh_boot: request.since.is_some() && same_boot.is_none(),
        }
    }

    /// Whether a room has sticky events that did not fit into the answers before.
    pub(super) fn lags_behind_in(&self, room: RoomNid) -> bool {
        self.since.is_some_and(|since| self.sticky_since < since)
            && self.app.sticky.any(room, 0, Pos::MAX)
    }

    /// Builds the answer.
    pub(super) async fn run(&self, lazy: &mut Session) -> ApiResult<Answer> {
        // The ephemeral head first: typing in a room is told only where the room is known.
        let ephemeral = self.app.feed.ephemeral().head();
        let upto = self.app.feed.head();
        let (messages, to_device) = self.to_device(upto).await?;
        let span = sticky::Span { since: self.sticky_since, upto, limit: MAX_STICKY };
        let sticky = sticky::collect(self.app, self.viewer, span, |_| true).await?;
        let feed = &self.app.feed;
        let token = SyncToken {
            generation: feed.generation(),
            pos: upto,
            boot: feed.ephemeral().boot(),
            ephemeral,
            to_device,
            sticky: sticky.next,
        };

        let mut out = Writer::with_capacity(1024);
        out.open();
        out.key("next_batch");
        out.text(&token.to_string());
        let bare = out.len();
        if !messages.is_empty() {
            out.open_at("to_device");
            out.open_list_at("events");
            for (_, message) in &messages {
                out.raw(message);
            }
            out.close_list();
            out.close();
        }
        let account_data = self.account_data(upto).await?;
        self.global_account_data(&mut out, &account_data).await?;
        let plan = plan::plan(self, upto, &account_data, lazy).await?;
        let mut sight = Sight::default();
        let data = rooms::Personal { account_data: &account_data, sticky: &sticky, upto };
        rooms::write(self, &mut out, &plan, &data, &mut sight).await?;
        self.presence(&mut out, &sight).await?;
        devices::write_lists(self, &mut out, upto, &sight).await?;
        let something = out.len() > bare;
        let device = self.requester.device.as_deref();
        devices::write_counts(self.app, &self.viewer.user, device, &mut out).await?;
        out.close();
        Ok(Answer { body: out.into_string(), token, something })
    }

    /// Messages for the device, and up to which position these are all.
    async fn to_device(&self, upto: Pos) -> ApiResult<(Vec<(Pos, String)>, Pos)> {
        let Some(device) = &self.requester.device else { return Ok((Vec::new(), upto)) };
        let from = self.messages_since;
        if !self.app.sync.heads.to_device_after(&self.viewer.user, from) {
            return Ok((Vec::new(), upto));
        }
        let messages =
            to_device::after(&self.app.db, &self.viewer.user, device, from, upto, MAX_TO_DEVICE)
                .await?;
        let Some((last, _)) = messages.last() else { return Ok((messages, upto)) };
        let last = *last;
        self.app.sync.told_device(&self.viewer.user, device, last);
        let full = messages.len() as i64 == MAX_TO_DEVICE;
        Ok((messages, if full { last } else { upto }))
    }

    async fn account_data(&self, upto: Pos) -> ApiResult<Vec<account_data::Entry>> {
        let from = self.since.unwrap_or(0);
        if !self.request.full_state
            && !self.app.sync.heads.account_data_after(&self.viewer.user, from)
        {
            return Ok(Vec::new());
        }
        let from = if self.request.full_state { 0 } else { from };
        Ok(account_data::changed(&self.app.db, &self.viewer.user, from, upto).await?)
    }

    async fn global_account_data(
        &self,
        out: &mut Writer,
        entries: &[account_data::Entry],
    ) -> ApiResult<()> {
        let filter = &self.request.filter.account_data;
        let section = out.open_events("account_data");
        for entry in entries
            .iter()
            .filter(|entry| entry.room_id.is_empty() && filter.admits_type(&entry.kind))
        {
            write_account_data(out, entry);
        }
        let complete = self.since.is_none() || self.request.full_state;
        if complete
            && filter.admits_type(PUSH_RULES)
            && !entries.iter().any(|entry| entry.room_id.is_empty() && entry.kind == PUSH_RULES)
        {
            write_push_rules(out, self.app, &self.viewer.user).await?;
        }
        out.close_events(section);
        Ok(())
    }

    /// Presence of the users in sight who changed, and of those who came into it.
    async fn presence(&self, out: &mut Writer, sight: &Sight) -> ApiResult<()> {
        let filter = &self.request.filter.presence;
        if filter.admits_nothing() {
            return Ok(());
        }
        let section = out.open_events("presence");
        let changed = self.app.presence.since(self.ephemeral_since);
        let joined = ephemeral::Joined::of(self.app, &self.viewer.user).await?;
        for (user, seen) in &changed {
            let own = *user == self.viewer.user;
            // Of himself a user hears when he changed, not each time he begins.
            let told =
                if own { self.since.is_some() } else { joined.shares_with(self.app, user).await? };
            if told && filter.admits("m.presence", user.as_str()) {
                presence::write(out, user, seen);
            }
        }
        for user in &sight.came {
            if *user != self.viewer.user
                && !changed.iter().any(|(told, _)| told == user)
                && filter.admits("m.presence", user.as_str())
                && let Some(seen) = self.app.presence.get(user)
            {
                presence::write(out, user, &seen);
            }
        }
        out.close_events(section);
        Ok(())
    }
}
