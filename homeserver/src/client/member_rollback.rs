//! Undoing what somebody did to their membership (`com.beeper.arbitrary_member_change`): when the other network refuses
//! that a user left, a bridge puts them back.

use ruma::events::TimelineEventType;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, Membership, Room, RoomError, Sent};

#[derive(Deserialize)]
struct Content {
    membership: String,
    #[serde(default, rename = "com.beeper.member_rollback")]
    rollback: bool,
}

/// Joins `target` again if that is what a service asks for; `None` if the request is an ordinary one.
///
/// The user joins by an event of their own, after an invitation if the room asks for one: so the result is
/// lawful under the room's rules. It is done for users of the service, and for others of this server only
/// as a rollback: to be in the room again that they were in before.
pub(super) async fn apply(
    app: &App,
    room: &Room,
    requester: &Requester,
    target: &str,
    content: &RawValue,
    ts: Option<i64>,
) -> ApiResult<Option<Sent>> {
    let Some(service) = &requester.appservice else { return Ok(None) };
    let (Ok(target), Ok(wanted)) =
        (UserId::parse(target), serde_json::from_str::<Content>(content.get()))
    else {
        return Ok(None);
    };
    if target == requester.user
        || wanted.membership != "join"
        || target.server_name() != app.config.server_name
    {
        return Ok(None);
    }
    let may =
        service.owns_user(&target) || (wanted.rollback && was_inside(app, room, &target).await?);
    if !may {
        return Err(ApiError::forbidden(format!("{target} can't be put into the room")));
    }
    let join = member(target.clone(), &target, content.to_owned(), ts);
    match room.send(join.clone()).await {
        Ok(sent) => Ok(Some(sent)),
        Err(RoomError::Forbidden(_)) => {
            let invite = RawValue::from_string(r#"{"membership":"invite"}"#.to_owned())
                .map_err(ApiError::internal)?;
            room.send(member(requester.user.clone(), &target, invite, ts)).await?;
            Ok(Some(room.send(join).await?))
        }
        Err(error) => Err(error.into()),
    }
}

fn member(sender: OwnedUserId, target: &UserId, content: Box<RawValue>, ts: Option<i64>) -> Draft {
    Draft { ts, ..Draft::state(sender, TimelineEventType::RoomMember, target.as_str(), content) }
}

/// Whether a user's last change in the room was to leave it by themselves.
async fn was_inside(app: &App, room: &Room, user: &UserId) -> ApiResult<bool> {
    let Some((Membership::Leave, nid)) = room.snapshot().member(user) else { return Ok(false) };
    let Some(left) = app.rooms.events(&[nid]).await?.pop() else { return Ok(false) };
    let Some(before) = left.replaces else { return Ok(false) };
    let before = app.rooms.events(&[before]).await?.pop();
    let was_joined = before.is_some_and(|event| {
        serde_json::from_str::<Content>(event.pdu.content().get())
            .is_ok_and(|content| content.membership == "join")
    });
    Ok(left.pdu.sender == *user && was_joined)
}
