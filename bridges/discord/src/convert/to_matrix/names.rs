//! What the numbers in a text stand for.

use std::collections::BTreeMap;

use crate::{ids::Id, raw::RoleName, raw::Scene, wire::Message};

/// What is known about the people, roles and channels that a text mentions.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// People, by what they are called in the server.
    pub users: BTreeMap<Id, String>,
    /// Roles.
    pub roles: BTreeMap<Id, RoleName>,
    /// Channels and threads.
    pub channels: BTreeMap<Id, String>,
    /// Whether `@everyone` and `@here` really call everybody.
    pub everyone: bool,
}

impl Names {
    /// What a message brings along, and what was known where it was said.
    pub fn of(message: &Message, scene: &Scene) -> Self {
        let users = message.mentions.iter().map(|user| {
            let nick = user.member.as_ref().and_then(|member| member.nick.clone());
            (user.id, nick.filter(|nick| !nick.is_empty()).unwrap_or_else(|| user.name().into()))
        });
        Self {
            users: users.collect(),
            roles: scene.roles.clone(),
            channels: scene.channels.clone(),
            everyone: message.mention_everyone,
        }
    }
}
