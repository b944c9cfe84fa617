//! Keeps the connection's own facts true: our nick, host, channels, the server's features.

use std::sync::Arc;

use super::Session;
use crate::client::State;
use crate::client::caps::CapStep;
use crate::client::flood::preset;
use crate::client::snapshot::Snapshot;
use crate::message::Message;
use tokio::time::Instant;

impl Session<'_> {
    /// Takes what a line says about ourselves.
    pub(super) fn follow(&mut self, message: &Message) {
        let mine = self.snapshot.is_me(message.nick());
        let mapping = self.snapshot.isupport.casemapping;
        match message.command.as_str() {
            "JOIN" if mine => {
                let source = message.source.clone();
                self.change(|me| {
                    me.joined.insert(mapping.fold(message.param(0)));
                    if let Some(source) = source.filter(|s| s.host.is_some()) {
                        me.me.user = source.user;
                        me.me.host = source.host;
                    }
                });
            }
            "PART" if mine => self.left(message.param(0)),
            "KICK" if self.snapshot.is_me(message.param(1)) => self.left(message.param(0)),
            "NICK" if mine => self.change(|me| message.param(0).clone_into(&mut me.me.name)),
            "NICK" | "QUIT"
                if mapping.same(message.nick(), &self.settings.nick)
                    && self.regain_at().is_some() =>
            {
                // The nick we wanted has just become free.
                self.urgent(&Message::new("NICK", [self.settings.nick.clone()]));
            }
            "CHGHOST" if mine => self.change(|me| {
                me.me.user = Some(message.param(0).to_owned());
                me.me.host = Some(message.param(1).to_owned());
            }),
            // RPL_HOSTHIDDEN
            "396" => self
                .change(|me| me.me.host = message.param(1).rsplit('@').next().map(str::to_owned)),
            "005" => self.change(|me| me.isupport.apply(&message.params)),
            "004" if self.settings.flood.is_none() => {
                self.bucket.set_limits(preset(message.param(2)), Instant::now());
            }
            "CAP" => self.follow_caps(message),
            _ => {}
        }
    }

    fn left(&mut self, channel: &str) {
        let channel = self.snapshot.isupport.casemapping.fold(channel);
        self.change(|me| me.joined.retain(|joined| *joined != channel));
    }

    fn follow_caps(&mut self, message: &Message) {
        let mut step = CapStep::Wait;
        self.change(|me| step = me.caps.on(message));
        if let CapStep::Send(lines) = step {
            for line in &lines {
                self.urgent(line);
            }
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(Arc::make_mut(&mut self.snapshot));
        self.state.send_replace(State::Online(Arc::clone(&self.snapshot)));
    }
}
