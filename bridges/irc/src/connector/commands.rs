//! The bridge bot's commands for IRC.

use landbridge_framework::handlers::{Args, Origin, SendError, Via};

use super::Irc;
use crate::message::Message;
use crate::nick::is_valid;

/// Another nick.
pub(super) async fn nick(
    Via(client): Via<Irc>,
    origin: Origin,
    Args(words): Args,
) -> Result<String, SendError> {
    let Some(wanted) = words.first().filter(|nick| is_valid(nick)) else {
        return Ok(
            "Say which: `nick NAME`, of letters, digits and `-_[]\\^{|}`, and no digit first."
                .into(),
        );
    };
    let Some(puppet) = client.hub.pool.existing(&origin.sender) else {
        return Ok(
            "You have no connection to IRC now: say something in a bridged room first, or log in."
                .into(),
        );
    };
    let answer =
        puppet.handle.checked(Message::new("NICK", [wanted.as_str()]), [wanted.as_str(), ""]).await;
    Ok(match answer {
        Ok(()) => format!("You are `{wanted}` on IRC now."),
        Err(failure) => format!("That didn't work: {failure}."),
    })
}

/// Who somebody is.
pub(super) async fn whois(Via(client): Via<Irc>, Args(words): Args) -> Result<String, SendError> {
    let Some(nick) = words.first().filter(|nick| is_valid(nick)) else {
        return Ok("Say who: `whois NICK`.".into());
    };
    let found = client
        .asking()
        .await
        .map_err(SendError::retry)?
        .whois(nick)
        .await
        .map_err(SendError::retry)?;
    Ok(match found {
        None => format!("Nobody is called `{nick}` on IRC now."),
        Some(who) => {
            let account = who
                .account
                .map(|account| format!(", logged in as `{account}`"))
                .unwrap_or_default();
            let bot = if who.bot { ", a bot" } else { "" };
            format!(
                "`{}` is `{}@{}` ({}){account}{bot}.",
                who.nick, who.user, who.host, who.realname
            )
        }
    })
}

/// How the connections stand.
pub(super) async fn connections(Via(client): Via<Irc>) -> Result<String, SendError> {
    let hub = &client.hub;
    let bot = match hub.listener().map(|handle| handle.state()) {
        Some(crate::client::State::Online(me)) => {
            format!("online as `{}` in {} channels", me.me.name, me.joined.len())
        }
        Some(
            crate::client::State::Offline(Some(failure))
            | crate::client::State::Closed(Some(failure)),
        ) => format!("offline: {failure}"),
        _ => "connecting".to_owned(),
    };
    let online = hub.pool.all().iter().filter(|puppet| puppet.handle.snapshot().is_some()).count();
    Ok(format!(
        "{}: the bot is {bot}; {online} of {} connections for Matrix users are online ({} allowed).",
        hub.name,
        hub.pool.len(),
        hub.config.puppets.max
    ))
}
