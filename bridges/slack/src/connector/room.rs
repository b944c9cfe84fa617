//! What is done about a chat as a whole: read marks, pins, name and topic, members, whether it is bridged.

use landbridge_framework::{
    handlers::{ChatEdit, MemberAction, MemberTarget},
    prelude::*,
};
use serde_json::{Value, json};

use super::{Connection, Slack, send::done_or};
use crate::{
    client::ApiError,
    ids::{Account, Chat, User},
};

/// Slack's limits of names and topics.
const MAX_NAME: usize = 80;
const MAX_TOPIC: usize = 250;
/// Seconds between attempts to enter a channel.
const ENTRIES: [u64; 6] = [1, 2, 4, 8, 16, 32];

type Me = Via<Slack>;
type Here = In<Slack>;

pub(super) async fn read(
    Via(client): Me,
    In(at, _): Here,
    read: Read<Slack>,
) -> Result<Done, SendError> {
    // The app reads for nobody in particular.
    if client.account != Account::App {
        let session = client.session(&at.id.team)?;
        let body = json!({ "channel": at.id.channel, "ts": read.up_to.id.ts });
        done_or(session.post("conversations.mark", &body).await, &[])?;
    }
    Ok(Done)
}

pub(super) async fn pins(
    Via(client): Me,
    In(at, _): Here,
    changed: PinsChanged<Slack>,
) -> Result<Done, SendError> {
    let session = client.session(&at.id.team)?;
    let item = |ts: &str| json!({ "channel": at.id.channel, "timestamp": ts });
    for message in &changed.added {
        done_or(session.post("pins.add", &item(&message.ts)).await, &["already_pinned"])?;
    }
    for message in &changed.removed {
        let fine = ["no_pin", "not_pinned", "message_not_found"];
        done_or(session.post("pins.remove", &item(&message.ts)).await, &fine)?;
    }
    Ok(Done)
}

pub(super) async fn describe(
    Via(client): Me,
    In(at, _): Here,
    RoomMeta(change): RoomMeta,
) -> Result<Done, SendError> {
    let session = client.session(&at.id.team)?;
    let channel = &at.id.channel;
    match change {
        ChatEdit::Name(name) => {
            let name = channel_name(&name)
                .ok_or_else(|| SendError::refused("no channel of Slack's can have that name"))?;
            let body = json!({ "channel": channel, "name": name });
            done_or(session.post("conversations.rename", &body).await, &[])
        }
        ChatEdit::Topic(topic) => {
            let topic: String = topic.chars().take(MAX_TOPIC).collect();
            let body = json!({ "channel": channel, "topic": topic });
            done_or(session.post("conversations.setTopic", &body).await, &[])
        }
        ChatEdit::Avatar(_) => Err(SendError::refused("Slack's channels have no pictures")),
        ChatEdit::Power(_) => Err(SendError::refused("Slack's channels have no power levels")),
    }
}

/// A name as channels may have it: lower-case letters of any script, digits, dashes and underscores.
pub(super) fn channel_name(name: &str) -> Option<String> {
    let mut out = String::new();
    for c in name.trim().trim_start_matches('#').to_lowercase().chars() {
        if c.is_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let name: String = out.trim_end_matches('-').chars().take(MAX_NAME).collect();
    (!name.is_empty()).then_some(name)
}

pub(super) async fn membership(
    Via(client): Me,
    In(at, _): Here,
    change: Membership<Slack>,
) -> Result<Done, SendError> {
    let session = client.session(&at.id.team)?;
    let channel = &at.id.channel;
    let user: User = match change.target {
        MemberTarget::Remote(user) | MemberTarget::Matrix(_, Some(Account::Person(user))) => user,
        // Somebody who is relayed has no account here that could come or go.
        MemberTarget::Matrix(..) => return Ok(Done),
    };
    if user.team != at.id.team {
        return Err(SendError::refused("they are in another workspace"));
    }
    let own = client.account.person() == Some(&user);
    match change.action {
        MemberAction::Join if own => {
            let answer = session.post("conversations.join", &json!({ "channel": channel })).await;
            done_or(answer, &["already_in_channel", "method_not_supported_for_channel_type"])
        }
        MemberAction::Join | MemberAction::Invite => {
            let body = json!({ "channel": channel, "users": user.user });
            done_or(session.post("conversations.invite", &body).await, &["already_in_channel"])
        }
        MemberAction::Leave if own => {
            let answer = session.post("conversations.leave", &json!({ "channel": channel })).await;
            done_or(answer, &["not_in_channel", "method_not_supported_for_channel_type"])
        }
        MemberAction::Leave | MemberAction::Kick => {
            let body = json!({ "channel": channel, "user": user.user });
            done_or(session.post("conversations.kick", &body).await, &["not_in_channel"])
        }
        MemberAction::Ban | MemberAction::Unban => {
            Err(SendError::refused("Slack knows no bans; remove the person instead"))
        }
        // Names belong to accounts, not to channels.
        MemberAction::Rename => Ok(Done),
    }
}

/// A chat is bridged: its events are taken from now on.
pub(super) async fn opened(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    // Before the account has begun to listen nothing is to be done: it begins with all that is bridged.
    if let Some(listener) = client.listener() {
        listener.begin(&client.hub, &at.id).await.map_err(SendError::retry)?;
    }
    if client.account == Account::App {
        enter(&client, &at.id).await?;
    }
    Ok(Done)
}

/// The app enters a public channel by itself, unless its events come by somebody's own account anyway; to others it must be invited.
async fn enter(client: &Connection, chat: &Chat) -> Result<(), SendError> {
    if !chat.channel.starts_with('C') || client.hub.is_seen_by_people(chat) {
        return Ok(());
    }
    let mut tries = ENTRIES.iter();
    loop {
        // A portal's opening is told once.
        let error = match client.eyes(&chat.team) {
            Ok((session, _)) => match session.join(&chat.channel).await {
                Ok(()) => return Ok(()),
                Err(ApiError::Refused(code)) => {
                    tracing::info!(
                        channel = chat.channel,
                        code,
                        "the app can't enter a channel by itself: invite it in Slack"
                    );
                    return Ok(());
                }
                Err(error) => error.looking(),
            },
            Err(error) => error,
        };
        match tries.next() {
            Some(wait) => tokio::time::sleep(Duration::from_secs(*wait)).await,
            None => return Err(SendError::retry(error)),
        }
    }
}

/// A chat is no longer bridged: the app leaves it. People stay where they are.
pub(super) async fn closed(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    if let Some(listener) = client.listener().filter(|_| client.account == Account::App) {
        listener.leaves(&at.id);
    }
    if client.account == Account::App && !at.id.is_direct() && !at.id.is_team() {
        let session = client.session(&at.id.team)?;
        let answer =
            session.post("conversations.leave", &json!({ "channel": at.id.channel })).await;
        return match answer {
            Err(ApiError::Refused(_)) => Ok(Done),
            answer => done_or(answer, &[]),
        };
    }
    Ok(Done)
}

/// The chat that a name as people write it stands for: `T1-C1`, `C1`, `#name`, or a link to it.
pub(super) async fn find(client: &Connection, query: &str) -> Result<Option<Chat>, NetError> {
    let query = query.trim();
    if let Ok(chat) = Chat::decode(query)
        && !chat.is_team()
    {
        return Ok(exists(client, &chat).await?.then_some(chat));
    }
    let linked = query
        .split_once("/archives/")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let linked = linked.or_else(|| {
        // `https://app.slack.com/client/T1/C1`
        query.split_once("/client/").and_then(|(_, rest)| rest.split(['/', '?']).nth(1))
    });
    let wanted = linked.unwrap_or(query);
    for team in teams(client) {
        if crate::ids::is_id(wanted) && wanted.starts_with(['C', 'G', 'D']) {
            let chat = Chat::new(&team, wanted);
            if exists(client, &chat).await? {
                return Ok(Some(chat));
            }
            continue;
        }
        if let Some(channel) = by_name(client, &team, wanted.trim_start_matches('#')).await? {
            return Ok(Some(Chat::new(team, channel)));
        }
    }
    Ok(None)
}

/// The workspaces that an account can look into.
pub(super) fn teams(client: &Connection) -> Vec<String> {
    match client.account.person() {
        Some(user) => vec![user.team.clone()],
        None => client.hub.workspaces().iter().map(|workspace| workspace.team.clone()).collect(),
    }
}

async fn exists(client: &Connection, chat: &Chat) -> Result<bool, NetError> {
    let Ok((session, _)) = client.eyes(&chat.team) else { return Ok(false) };
    let params = [("channel", chat.channel.as_str())];
    match session.get_patiently("conversations.info", &params).await {
        Ok(_) => Ok(true),
        Err(ApiError::Refused(_)) => Ok(false),
        Err(error) => Err(error.looking()),
    }
}

async fn by_name(client: &Connection, team: &str, name: &str) -> Result<Option<String>, NetError> {
    let (session, _) = client.eyes(team)?;
    let params = [
        ("types", "public_channel,private_channel"),
        ("exclude_archived", "true"),
        ("limit", "200"),
    ];
    let all = session.pages("conversations.list", &params, "channels", 20_000).await;
    let all = all.map_err(ApiError::looking)?;
    let text = |channel: &Value, key: &str| {
        channel.get(key).and_then(Value::as_str).map(ToOwned::to_owned)
    };
    let found = all.iter().find(|channel| text(channel, "name").as_deref() == Some(name));
    Ok(found.and_then(|channel| text(channel, "id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_channels() {
        assert_eq!(channel_name("#General Talk!").as_deref(), Some("general-talk"));
        assert_eq!(channel_name("Käse & Brot").as_deref(), Some("käse-brot"));
        assert_eq!(channel_name(" !! "), None);
        assert_eq!(channel_name(&"x".repeat(200)).map(|name| name.len()), Some(80));
    }
}
