//! Channels and group conversations begun from Matrix, by people with an account of their own
//! (<https://docs.slack.dev/reference/methods/conversations.create>, `conversations.open`). A conversation of certain people is the same
//! each time it is opened, and a channel's name is taken once: so nothing is made twice.

use landbridge_framework::{
    handlers::{GroupField, GroupKind, GroupMade, NewGroup},
    prelude::*,
};
use serde_json::{Value, json};

use super::{Connection, Slack, room::channel_name};
use crate::{
    client::{ApiError, Session},
    ids::{self, Chat, User},
    json::{list, said, text},
};

/// Slack's limits: of names, topics, and of the people in a group conversation beside the one who opens it.
const MAX_NAME: usize = 80;
const MAX_TOPIC: usize = 250;
const MAX_PEOPLE: usize = 8;
/// The most people that are invited at once.
const MAX_INVITED: usize = 1000;
/// Channels that are looked through for one that may have been made.
const MAX_CHANNELS: usize = 20_000;
/// Clocks differ by some minutes.
const SLACK_SECONDS: i64 = 600;

const GROUP: &str = "group";
const CHANNEL: &str = "channel";
const PRIVATE: &str = "private";

/// What can be begun.
pub(super) fn kinds() -> [GroupKind; 3] {
    let channel = |id, title| GroupKind {
        id,
        title,
        name: GroupField::from_to(1, MAX_NAME),
        topic: GroupField::up_to(MAX_TOPIC),
        members: GroupField::up_to(MAX_INVITED),
        ..GroupKind::default()
    };
    [
        GroupKind {
            id: GROUP,
            title: "group conversation, of up to nine people",
            members: GroupField::from_to(2, MAX_PEOPLE),
            ..GroupKind::default()
        },
        channel(CHANNEL, "channel"),
        channel(PRIVATE, "private channel"),
    ]
}

pub(super) async fn make(
    Via(client): Via<Slack>,
    attempt: Attempt,
    origin: Origin,
    mut done: Checkpoint,
    group: NewGroup<Slack>,
) -> Result<GroupMade<Slack>, SendError> {
    let Some(me) = client.account.person().cloned() else {
        return Err(SendError::refused("that needs an account of your own: log in to Slack first"));
    };
    let session = client.session(&me.team)?;
    let (here, elsewhere): (Vec<User>, Vec<User>) =
        group.members.iter().cloned().partition(|user| user.team == me.team && !user.is_bot());
    let elsewhere = elsewhere.into_iter();
    let mut failed: Vec<(User, String)> =
        elsewhere.map(|user| (user, "they are not in this workspace".to_owned())).collect();
    if group.kind == GROUP {
        let channel = open(&session, &here).await?;
        return Ok(made(&client, &me, &channel, failed));
    }
    let noted = done.get().map(str::to_owned);
    let channel = if let Some(noted) = noted {
        noted
    } else {
        let since = attempt.maybe_sent.then_some(origin.ts_ms / 1000 - SLACK_SECONDS);
        let channel = create(&session, &me, &group, since).await?;
        done.save(channel.clone()).await?;
        channel
    };
    failed.extend(invite(&session, &channel, &here).await?);
    if let Some(topic) = &group.topic {
        let topic: String = topic.chars().take(MAX_TOPIC).collect();
        let body = json!({ "channel": channel, "topic": topic });
        let answer = session.post("conversations.setTopic", &body).await;
        answer.map_err(|error| error.sending(LimitScope::Login))?;
    }
    Ok(made(&client, &me, &channel, failed))
}

fn made(
    client: &Connection,
    me: &User,
    channel: &str,
    failed: Vec<(User, String)>,
) -> GroupMade<Slack> {
    let chat = Chat::new(&me.team, channel);
    if let Some(listener) = client.listener() {
        listener.enters(&chat);
    }
    GroupMade { chat: PortalKey::shared(chat), failed }
}

fn channel_in(answer: &Value) -> Result<String, SendError> {
    let id = answer.pointer("/channel/id").and_then(Value::as_str).filter(|id| ids::is_id(id));
    id.map(str::to_owned).ok_or_else(|| SendError::unknown("Slack did not say which channel it is"))
}

/// The conversation of these people: the one that there is, if there is one.
async fn open(session: &Session, people: &[User]) -> Result<String, SendError> {
    if !(2..=MAX_PEOPLE).contains(&people.len()) {
        return Err(SendError::refused(
            "a group conversation needs two to eight people of the workspace beside you",
        ));
    }
    let body = json!({ "users": names(people), "return_im": true });
    let opened = session.post("conversations.open", &body).await;
    channel_in(&opened.map_err(|error| error.sending(LimitScope::Login))?)
}

fn names(people: &[User]) -> String {
    people.iter().map(|user| user.user.as_str()).collect::<Vec<_>>().join(",")
}

/// A new channel. `since`: it may have been made from then on, in seconds since the Unix epoch.
async fn create(
    session: &Session,
    me: &User,
    group: &NewGroup<Slack>,
    since: Option<i64>,
) -> Result<String, SendError> {
    let name = group.name.as_deref().and_then(channel_name);
    let name =
        name.ok_or_else(|| SendError::refused("no channel of Slack's can have that name"))?;
    let private = group.kind == PRIVATE;
    let body = json!({ "name": name, "is_private": private });
    match session.post("conversations.create", &body).await {
        Ok(answer) => channel_in(&answer),
        Err(ApiError::Refused(code)) if code == "name_taken" => {
            let found = match since {
                Some(since) => mine(session, me, &name, since).await?,
                None => None,
            };
            found.ok_or_else(|| {
                SendError::refused(format!("there is, or was, a channel called #{name} already"))
            })
        }
        Err(error) => Err(error.sending(LimitScope::Login)),
    }
}

/// The channel of that name, if this account has made it since then.
async fn mine(
    session: &Session,
    me: &User,
    name: &str,
    since: i64,
) -> Result<Option<String>, SendError> {
    let params = [("types", "public_channel,private_channel"), ("limit", "500")];
    let all = session.pages("users.conversations", &params, "channels", MAX_CHANNELS).await;
    let all = all.map_err(|error| error.sending(LimitScope::Login))?;
    let fits = |channel: &&Value| {
        said(channel, "name") == Some(name)
            && text(channel, "creator") == Some(&*me.user)
            && channel.get("created").and_then(Value::as_i64).is_some_and(|at| at >= since)
    };
    let found = all.iter().find(fits).and_then(|channel| text(channel, "id"));
    Ok(found.filter(|id| ids::is_id(id)).map(str::to_owned))
}

/// Invites people, as many as can be; and says who could not.
async fn invite(
    session: &Session,
    channel: &str,
    people: &[User],
) -> Result<Vec<(User, String)>, SendError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let body = json!({ "channel": channel, "users": names(people), "force": true });
    let refused =
        |code: &str| (code != "already_in_channel").then(|| ApiError::Refused(code.into()));
    match session.post("conversations.invite", &body).await {
        Ok(answer) => Ok(list(&answer, "errors")
            .iter()
            .filter_map(|error| {
                let user = people.iter().find(|user| text(error, "user") == Some(&*user.user))?;
                Some((user.clone(), refused(text(error, "error")?)?.to_string()))
            })
            .collect()),
        Err(error @ ApiError::Refused(_)) => {
            let why = refused(error.code().unwrap_or_default()).map(|error| error.to_string());
            Ok(why
                .into_iter()
                .flat_map(|why| people.iter().map(move |user| (user.clone(), why.clone())))
                .collect())
        }
        Err(error) => Err(error.sending(LimitScope::Login)),
    }
}
