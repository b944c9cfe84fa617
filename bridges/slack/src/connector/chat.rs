//! What is known about a chat: its name, what it is about, who is in it, the workspace it belongs to.

use landbridge_framework::{
    event::{ChatKind, MediaRef, Member, Membership, Sender},
    format::to_plain,
    prelude::*,
};
use serde_json::Value;

use super::{Connection, Slack};
use crate::{
    client::{ApiError, Session, lookup::Lookup},
    convert::{Context, to_matrix},
    ids::{self, Chat, User},
    json::{flag, said, text},
    raw::Names,
};

/// People of a group conversation that its name names.
const NAMED: usize = 8;

pub(super) async fn describe(
    client: &Connection,
    key: &PortalKey<Slack>,
) -> Result<ChatInfo<Slack>, NetError> {
    let (session, lookup) = client.eyes(&key.id.team)?;
    if key.id.is_team() {
        return team(&session).await;
    }
    let params = [("channel", key.id.channel.as_str())];
    let answer =
        session.get_patiently("conversations.info", &params).await.map_err(ApiError::looking)?;
    let channel = answer.get("channel").unwrap_or(&Value::Null);
    if flag(channel, "is_im") || key.id.is_direct() {
        return Ok(direct(client, &key.id, channel));
    }
    let max = client.hub.config.members_max;
    let limit = max.clamp(1, 1_000).to_string();
    let params = [("channel", key.id.channel.as_str()), ("limit", limit.as_str())];
    let people = session.pages("conversations.members", &params, "members", max + 1).await;
    let people = match people {
        Ok(people) => people,
        // Some channels of other organisations keep their members to themselves.
        Err(ApiError::Refused(code)) if code != "channel_not_found" => Vec::new(),
        Err(error) => return Err(error.looking()),
    };
    let complete = !people.is_empty() && people.len() <= max;
    let people: Vec<&str> =
        people.iter().take(max).filter_map(Value::as_str).filter(|id| ids::is_id(id)).collect();
    let name = if flag(channel, "is_mpim") {
        Some(group_name(client, &lookup, &key.id, &people).await)
    } else {
        said(channel, "name").map(ToOwned::to_owned)
    };
    let own = client.hub.own(&key.id.team).user;
    let members = people
        .iter()
        .filter(|user| own.as_deref() != Some(**user))
        .map(|user| member(client, &key.id.team, user));
    Ok(ChatInfo {
        kind: if flag(channel, "is_mpim") { ChatKind::Group } else { ChatKind::Channel },
        name,
        topic: topic(&key.id, &lookup, channel).await,
        parent: Some(Chat::team(&key.id.team)),
        members: members.collect(),
        members_complete: complete,
        ..ChatInfo::default()
    })
}

/// The workspace, which is a space.
async fn team(session: &Session) -> Result<ChatInfo<Slack>, NetError> {
    let answer = session.get_patiently("team.info", &[]).await.map_err(ApiError::looking)?;
    let team = answer.get("team").unwrap_or(&Value::Null);
    let icon = team.get("icon").filter(|icon| !flag(icon, "image_default"));
    let icon = icon.and_then(|icon| said(icon, "image_230").or_else(|| said(icon, "image_132")));
    Ok(ChatInfo {
        kind: ChatKind::Space,
        name: said(team, "name").map(ToOwned::to_owned),
        avatar: icon.map(|url| MediaRef(url.to_owned())),
        ..ChatInfo::default()
    })
}

fn direct(client: &Connection, chat: &Chat, channel: &Value) -> ChatInfo<Slack> {
    let with = text(channel, "user").filter(|id| ids::is_id(id));
    let with = with.map(|user| User::new(&chat.team, user));
    let mut info = with.clone().map_or_else(ChatInfo::default, ChatInfo::dm);
    info.kind = ChatKind::Dm;
    if let Some(me) = client.account.person() {
        // Notes to oneself are a conversation with oneself.
        if with.as_ref() == Some(me) {
            info.members.clear();
            info.dm_with = None;
            info.name = Some("Notes to yourself".into());
        }
        info.members.push(member(client, &chat.team, &me.user));
    }
    info
}

fn member(client: &Connection, team: &str, user: &str) -> Member<Slack> {
    let id = User::new(team, user);
    let me = client.account.person() == Some(&id);
    Member {
        user: if me { Sender::Me } else { Sender::User(id) },
        membership: Membership::Join,
        power: None,
        info: None,
    }
}

/// A group conversation is called by who is in it.
async fn group_name(client: &Connection, lookup: &Lookup, chat: &Chat, people: &[&str]) -> String {
    let me = client.account.person().map(|user| user.user.as_str());
    let others: Vec<&&str> = people.iter().filter(|user| Some(**user) != me).take(NAMED).collect();
    let mentions: Vec<String> = others.iter().map(|user| format!("<@{user}>")).collect();
    let names = lookup.names(&Value::String(mentions.concat())).await;
    let context = Context { team: &chat.team, names: &names };
    let shown: Vec<String> = others
        .iter()
        .map(|user| context.user(user, None).trim_start_matches('@').to_owned())
        .collect();
    shown.join(", ")
}

/// Its topic, or else what it is for.
async fn topic(chat: &Chat, lookup: &Lookup, channel: &Value) -> Option<String> {
    let value = |key: &str| channel.get(key).and_then(|about| said(about, "value"));
    let words = value("topic").or_else(|| value("purpose")).unwrap_or_default();
    let names: Names = lookup.names(&Value::String(words.to_owned())).await;
    let context = Context { team: &chat.team, names: &names };
    Some(to_plain(&to_matrix::rich(context, words)))
}
