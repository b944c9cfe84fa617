//! The bridge bot's commands for Telegram.

use grammers_tl_types as tl;
use landbridge_framework::prelude::*;

use super::{
    outgoing::{Target, latest},
    send::{Here, Me},
};
use crate::{
    client::{ApiError, Live},
    convert::to_matrix::{numbered, topic_of},
    ids::{ChatId, GENERAL},
};

/// Presses a numbered button of the latest message of the room's chat that has any.
pub(super) async fn press(
    Via(client): Me,
    In(at, _): Here,
    Args(words): Args,
) -> Result<String, SendError> {
    let number = words.first().and_then(|word| word.trim_end_matches('.').parse::<usize>().ok());
    let Some(place) = number.and_then(|number| number.checked_sub(1)) else {
        return Ok("Say which: `press NUMBER`.".into());
    };
    if client.relays() {
        return Err(SendError::refused("bots can't press buttons; log in with your own account"));
    }
    let live = client.live()?;
    let target = Target::of(&live, at.id, None, None).await?;
    let messages = latest(&live, &target).await?;
    let mut here = messages.iter().filter(|message| belongs(message, at.id));
    let found = here.find_map(|message| {
        let buttons = numbered(message.reply_markup.as_ref()?);
        Some((message.id, buttons)).filter(|(_, buttons)| !buttons.is_empty())
    });
    let Some((message, buttons)) = found else {
        return Err(SendError::refused("none of the chat's latest messages has a button"));
    };
    let Some(button) = buttons.get(place) else {
        return Err(SendError::refused(format!(
            "the latest message with buttons has {} of them",
            buttons.len()
        )));
    };
    let answer = match &button.r#type {
        tl::enums::InlineButtonType::Callback(callback) if callback.requires_password => {
            return Err(SendError::refused(
                "this button asks for your Telegram password: press it in Telegram's own app",
            ));
        }
        tl::enums::InlineButtonType::Callback(callback) => {
            pressed(&live, target.peer, message, Some(callback.data.clone())).await?
        }
        tl::enums::InlineButtonType::Game => pressed(&live, target.peer, message, None).await?,
        tl::enums::InlineButtonType::Copy(copy) => {
            return Ok(format!("Its text to copy:\n```\n{}\n```", copy.copy_text));
        }
        tl::enums::InlineButtonType::UserProfile(profile) => {
            return Ok(format!(
                "It shows somebody: `start-chat {}` opens the chat with them.",
                profile.user_id
            ));
        }
        _ => {
            return Err(SendError::refused("this button works in Telegram's own apps only"));
        }
    };
    Ok(answer.unwrap_or_else(|| format!("Pressed: {}", button.text)))
}

/// Whether a message of a chat is in this room: in a forum, whether it is in the room's topic.
fn belongs(message: &tl::types::Message, room: ChatId) -> bool {
    room.topic.is_none_or(|topic| {
        message.id == topic || topic_of(message.reply_to.as_ref()).unwrap_or(GENERAL) == topic
    })
}

/// Tells the bot that its button, or the one of its game, was pressed; gives what it answers.
async fn pressed(
    live: &Live,
    peer: tl::enums::InputPeer,
    msg_id: i32,
    data: Option<Vec<u8>>,
) -> Result<Option<String>, SendError> {
    let request = tl::functions::messages::GetBotCallbackAnswer {
        game: data.is_none(),
        peer,
        msg_id,
        data,
        password: None,
    };
    let answer = match live.api.invoke(&request).await {
        Ok(tl::enums::messages::BotCallbackAnswer::Answer(answer)) => answer,
        Err(error) => return Err(refusal(error)),
    };
    let said = [answer.message, answer.url].into_iter().flatten();
    let said: Vec<String> = said.filter(|text| !text.trim().is_empty()).collect();
    Ok(Some(said.join("\n")).filter(|said| !said.is_empty()))
}

fn refusal(error: ApiError) -> SendError {
    match error.name() {
        Some("BOT_RESPONSE_TIMEOUT") => {
            SendError::refused("the bot was told, but has not answered in time")
        }
        Some("DATA_INVALID") => SendError::refused("the button is no longer there"),
        _ => error.into(),
    }
}
