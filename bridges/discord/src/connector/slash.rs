//! The slash commands on Discord: `/matrix bridge|unbridge|who|link`. Answers are seen only by who asked.

use std::sync::Arc;

use landbridge_framework::{EventKey, Inbox, PortalKey, Unbridged};
use serde::Deserialize;
use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use super::Discord;
use crate::{
    client::{ApiError, Call, Hub, Wait, hub::Me},
    ids::{Id, Place},
    raw::{RESYNC, Raw},
    wire::User,
};

/// `flags` of an answer that only one person sees.
const EPHEMERAL: u64 = 1 << 6;

/// Makes the commands known. Doing it again changes nothing.
pub(crate) async fn register(hub: &Hub, me: Me) -> Result<(), ApiError> {
    let sub = |name: &str, description: &str| json!({ "type": 1, "name": name, "description": description });
    let command = json!([{
        "name": "matrix",
        "description": "The bridge to Matrix",
        "type": 1,
        "contexts": [0],
        "options": [
            sub("bridge", "Make a Matrix room for this channel (for those who manage channels)"),
            sub("unbridge", "Take this channel off Matrix (for those who manage channels)"),
            sub("who", "Who you are on Matrix, and whether this channel is there"),
            sub("link", "Prove on Matrix who you are on Discord"),
        ],
    }]);
    let call = Call::put(format!("applications/{}/commands", me.application)).json(command);
    hub.rest.tell(call, Wait::Yes).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Interaction {
    id: Id,
    token: String,
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<Id>,
    channel_id: Option<Id>,
    member: Option<Member>,
    user: Option<User>,
    data: Data,
}

impl Interaction {
    /// Whether the person may manage the channel, as Discord says with the command.
    fn manages_channels(&self) -> bool {
        let bits = self.member.as_ref().and_then(|member| member.permissions.parse().ok());
        let permissions = Permissions::from_bits_truncate(bits.unwrap_or_default());
        permissions.intersects(Permissions::MANAGE_CHANNELS | Permissions::ADMINISTRATOR)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Member {
    user: User,
    permissions: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    name: String,
    options: Vec<Choice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    name: String,
}

/// Answers a command, beside everything else: Discord waits three seconds.
pub(crate) fn answer(hub: &Arc<Hub>, inbox: &Inbox<Discord>, data: Value) {
    let interaction: Interaction = match serde_json::from_value(data) {
        Ok(interaction) => interaction,
        Err(error) => {
            tracing::warn!(%error, "a command on Discord can't be read");
            return;
        }
    };
    // 2: a command.
    if interaction.kind != 2 || interaction.data.name != "matrix" {
        return;
    }
    let (hub, inbox) = (hub.clone(), inbox.clone());
    tokio::spawn(async move {
        let words = run(&hub, &inbox, &interaction).await;
        let path = format!("interactions/{}/{}/callback", interaction.id, interaction.token);
        let body = json!({
            "type": 4,
            "data": { "content": words, "flags": EPHEMERAL, "allowed_mentions": { "parse": [] } },
        });
        let call = Call::post(path).without_token().json(body);
        if let Err(error) = hub.rest.tell(call, Wait::No).await {
            tracing::warn!(%error, "a command on Discord could not be answered");
        }
    });
}

async fn run(hub: &Hub, inbox: &Inbox<Discord>, interaction: &Interaction) -> String {
    let user = interaction.member.as_ref().map(|member| &member.user).or(interaction.user.as_ref());
    let Some(user) = user else { return "Discord didn't say who you are.".into() };
    hub.note_person(interaction.guild_id, user, None);
    let channel = interaction.channel_id.unwrap_or_default();
    match interaction.data.options.first().map(|choice| choice.name.as_str()) {
        Some("link") => link(hub, user),
        Some("who") => who(hub, user, interaction),
        Some("bridge") => bridge(hub, inbox, interaction, channel).await,
        Some("unbridge") => unbridge(hub, inbox, interaction, user, channel).await,
        _ => "There is no such command.".into(),
    }
}

fn link(hub: &Hub, user: &User) -> String {
    if let Some(owner) = hub.linked_to(user.id) {
        return format!(
            "You are linked to {owner} on Matrix. To end that, tell the bridge's bot there: logout"
        );
    }
    match hub.new_code(user.id, user.name()) {
        Some(code) => format!(
            "On Matrix, tell the bridge's bot `login code`, and then this code, which is good for ten minutes: `{code}`\nWhoever has it is taken \
             for you: show it to nobody."
        ),
        None => "Too many people are linking just now; please try again in a few minutes.".into(),
    }
}

fn who(hub: &Hub, user: &User, interaction: &Interaction) -> String {
    let channel = interaction.channel_id.unwrap_or_default();
    let there = hub.scene(interaction.guild_id, channel).is_some();
    let you = match hub.linked_to(user.id) {
        Some(owner) => format!("You are linked to {owner} on Matrix."),
        None => "You are not linked to anybody on Matrix; /matrix link does that.".into(),
    };
    let here = if there {
        "This channel is bridged to Matrix."
    } else {
        "This channel is not bridged to Matrix."
    };
    format!("{you} {here}")
}

/// A room for the channel. That the person may decide about it was said by Discord, with the command.
async fn bridge(
    hub: &Hub,
    inbox: &Inbox<Discord>,
    interaction: &Interaction,
    channel: Id,
) -> String {
    if !interaction.manages_channels() {
        return "Only those who may manage channels can bridge one.".into();
    }
    if hub.checked.is_closed(channel) {
        return "This bridge's configuration keeps this channel closed.".into();
    }
    if hub.is_bridged(channel) {
        return "This channel is bridged already.".into();
    }
    let asking = interaction.member.as_ref().map(|member| member.user.id).unwrap_or_default();
    let Some(owner) = hub.linked_to(asking) else {
        return "Say first who you are on Matrix, by /matrix link: you are invited to the room, and can invite others.".into();
    };
    hub.invite(channel, owner);
    // The channel counts as wanted, so that it has a scene; its room is made by the event.
    hub.bridge(channel, true);
    let Some(mut scene) = hub.scene(interaction.guild_id, channel).filter(|s| s.thread.is_none())
    else {
        hub.bridge(channel, false);
        return "A thread comes to Matrix with its channel: bridge that.".into();
    };
    scene.open = true;
    let raw = Raw {
        name: RESYNC.into(),
        data: Value::Null,
        stamp: format!("bridge:{}", interaction.id),
        received_ms: u64::try_from(hub.clock.now_ms()).unwrap_or_default(),
        scene,
    };
    match inbox.put(EventKey(format!("bridge:{}", interaction.id)), raw).await {
        Ok(_) => "A Matrix room is being made for this channel, and you are invited to it. To use a room that exists, say in that room: \
                  `!discord bridge` and this channel's number."
            .into(),
        Err(error) => {
            hub.bridge(channel, false);
            format!("The bridge can't do that now: {error}")
        }
    }
}

/// Ends the bridging of the channel, and of its threads that have rooms of their own. The rooms stay, and are told why.
async fn unbridge(
    hub: &Hub,
    inbox: &Inbox<Discord>,
    interaction: &Interaction,
    user: &User,
    channel: Id,
) -> String {
    if !interaction.manages_channels() {
        return "Only those who may manage channels can take one off Matrix.".into();
    }
    let guild = interaction.guild_id.or(hub.cache().channel(channel).map(|(guild, _)| guild));
    if guild.is_some_and(|guild| hub.checked.is_whole(guild)) {
        return "All channels of this server are bridged, by the bridge's configuration. Whoever runs the bridge can except this one \
                (discord.closed_channels)."
            .into();
    }
    let why = format!(
        "{} has ended the bridging of this channel, on Discord. What is said here from now on stays here.",
        user.name()
    );
    let own = PortalKey::shared(Place::Channel(channel));
    match inbox.unbridge(&own, &why).await {
        Ok(Unbridged::Done) => {}
        Ok(Unbridged::NotBridged) => return "This channel is not bridged to Matrix.".into(),
        Ok(Unbridged::Configured) => {
            return "The bridge's configuration says that this channel is bridged; whoever runs the bridge can change that.".into();
        }
        Err(error) => return format!("The bridge can't do that now: {error}"),
    }
    let threads: Vec<Id> = hub.cache().threads_of(channel).map(|thread| thread.id).collect();
    let threads = threads.into_iter().filter(|thread| hub.is_bridged(*thread));
    // Their space last.
    for place in threads.map(Place::Channel).chain([Place::Posts(channel)]) {
        if let Err(error) = inbox.unbridge(&PortalKey::shared(place), &why).await {
            tracing::warn!(?place, %error, "a thread's room is still bridged");
        }
    }
    "This channel is no longer bridged to Matrix.".into()
}
