//! One function per route. Each takes the request apart, asks the service, and hands its answer back.

use axum::{
    Json,
    extract::{FromRequest, Path, Query, Request, State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    super::{error::NetworkError, limits, service::Caller, store::Place},
    App,
};
use crate::wire::{
    Act, CastVote, Chat, Describe, Edit, Faults, MarkRead, Message, Messages, NewChat, Outcome,
    Person, PersonToken, React, Send, SetTyping, Whoami,
};

type Answer<T> = Result<Json<T>, NetworkError>;

/// A JSON body, refused in the network's own words when it isn't what it should be.
pub(super) struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = NetworkError;

    async fn from_request(request: Request, app: &App) -> Result<Self, NetworkError> {
        match Json::<T>::from_request(request, app).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::BytesRejection(rejection))
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Err(NetworkError::TooLong {
                    what: "the body",
                    limit: limits::MAX_BODY,
                    unit: "bytes",
                })
            }
            Err(rejection) => Err(NetworkError::Invalid(rejection.body_text())),
        }
    }
}

/// Where a list goes on.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: String,
}

pub(super) async fn whoami(State(app): State<App>, caller: Caller) -> Answer<Whoami> {
    Ok(Json(app.service.whoami(&caller).await?))
}

pub(super) async fn people(
    State(app): State<App>,
    _: Caller,
    Query(page): Query<After>,
) -> Answer<Vec<Person>> {
    Ok(Json(app.service.people(&page.after).await?))
}

pub(super) async fn person(
    State(app): State<App>,
    _: Caller,
    Path(id): Path<String>,
) -> Answer<Person> {
    Ok(Json(app.service.person(&id).await?))
}

pub(super) async fn add_person(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<Person>,
) -> Answer<Person> {
    Ok(Json(app.service.add_person(&caller, new).await?))
}

/// A person's new name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    name: String,
}

pub(super) async fn rename_person(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(new): Body<Rename>,
) -> Answer<Person> {
    Ok(Json(app.service.rename_person(&caller, &id, &new.name).await?))
}

pub(super) async fn new_token(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<PersonToken> {
    Ok(Json(app.service.new_token(&caller, &id).await?))
}

pub(super) async fn done_with_key(
    State(app): State<App>,
    caller: Caller,
    Path((person, key)): Path<(String, String)>,
) -> Answer<Outcome> {
    Ok(Json(app.service.done_with_key(&caller, Some(&person), &key).await?))
}

pub(super) async fn chats(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<After>,
) -> Answer<Vec<Chat>> {
    Ok(Json(app.service.chats(&caller, &page.after).await?))
}

pub(super) async fn chat(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Chat> {
    Ok(Json(app.service.chat(&caller, &id).await?))
}

pub(super) async fn new_chat(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewChat>,
) -> Answer<Chat> {
    let (chat, _) = app.service.new_chat(&caller, new).await?;
    Ok(Json(chat))
}

pub(super) async fn describe(
    State(app): State<App>,
    caller: Caller,
    Path(chat): Path<String>,
    Body(change): Body<Describe>,
) -> Answer<Outcome> {
    Ok(Json(app.service.describe(&caller, &chat, change).await?))
}

pub(super) async fn join(
    State(app): State<App>,
    caller: Caller,
    Path((chat, person)): Path<(String, String)>,
    Body(act): Body<Act>,
) -> Answer<Outcome> {
    Ok(Json(app.service.join(&caller, &chat, &person, act).await?))
}

pub(super) async fn leave(
    State(app): State<App>,
    caller: Caller,
    Path((chat, person)): Path<(String, String)>,
    Body(act): Body<Act>,
) -> Answer<Outcome> {
    Ok(Json(app.service.leave(&caller, &chat, &person, act).await?))
}

/// Which page of a chat's messages: before a number, after a number, or the newest.
#[derive(Deserialize)]
pub(super) struct Which {
    before: Option<i64>,
    after: Option<i64>,
    limit: Option<i64>,
}

pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(chat): Path<String>,
    Query(which): Query<Which>,
) -> Answer<Messages> {
    let place = match (which.before, which.after) {
        (Some(_), Some(_)) => {
            return Err(NetworkError::Invalid("either \"before\" or \"after\"".into()));
        }
        (None, Some(after)) => Place::After(after),
        (before, None) => Place::Before(before.unwrap_or(i64::MAX)),
    };
    Ok(Json(app.service.messages(&caller, &chat, place, which.limit.unwrap_or(100)).await?))
}

pub(super) async fn message(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Message> {
    Ok(Json(app.service.message(&caller, &id).await?))
}

pub(super) async fn send(
    State(app): State<App>,
    caller: Caller,
    Path(chat): Path<String>,
    Body(message): Body<Send>,
) -> Answer<Outcome> {
    Ok(Json(app.service.send(&caller, &chat, message).await?))
}

pub(super) async fn edit(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(edit): Body<Edit>,
) -> Answer<Outcome> {
    Ok(Json(app.service.edit(&caller, &id, edit).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(act): Body<Act>,
) -> Answer<Outcome> {
    Ok(Json(app.service.delete(&caller, &id, act).await?))
}

pub(super) async fn react(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(react): Body<React>,
) -> Answer<Outcome> {
    Ok(Json(app.service.react(&caller, &id, react).await?))
}

pub(super) async fn vote(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(vote): Body<CastVote>,
) -> Answer<Outcome> {
    Ok(Json(app.service.vote(&caller, &id, vote).await?))
}

pub(super) async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(act): Body<Act>,
) -> Answer<Outcome> {
    Ok(Json(app.service.close(&caller, &id, act).await?))
}

pub(super) async fn set_typing(
    State(app): State<App>,
    caller: Caller,
    Path(chat): Path<String>,
    Body(set): Body<SetTyping>,
) -> Result<StatusCode, NetworkError> {
    app.service.set_typing(&caller, &chat, set).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn mark_read(
    State(app): State<App>,
    caller: Caller,
    Path(chat): Path<String>,
    Body(mark): Body<MarkRead>,
) -> Answer<Outcome> {
    Ok(Json(app.service.mark_read(&caller, &chat, mark).await?))
}

const NO_FAULTS: NetworkError = NetworkError::Forbidden("this network was not started with faults");

pub(super) async fn faults(State(app): State<App>, caller: Caller) -> Answer<Faults> {
    let board = app.faults.as_ref().filter(|_| caller == Caller::Network).ok_or(NO_FAULTS)?;
    Ok(Json(board.get()))
}

pub(super) async fn set_faults(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<Faults>,
) -> Answer<Faults> {
    let board = app.faults.as_ref().filter(|_| caller == Caller::Network).ok_or(NO_FAULTS)?;
    board.set(new);
    Ok(Json(board.get()))
}
