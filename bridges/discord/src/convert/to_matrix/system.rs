//! What Discord itself says in a channel (API reference, "Message Types").

use landbridge_framework::format::{Rich, Style};

use super::{Names, read};
use crate::{
    convert::date,
    wire::{Embed, Kind, Message},
};

/// What a message of Discord's says, as something that its author did; `None` where it says nothing, or what is told otherwise.
pub(super) fn words(message: &Message, names: &Names) -> Option<Rich> {
    let content = message.content.as_deref().unwrap_or_default();
    let mentioned = || {
        message
            .mentions
            .first()
            .map_or_else(|| Rich::plain("somebody"), |user| read(&format!("<@{}>", user.id), names))
    };
    let plain = |text: &str| Some(Rich::plain(text));
    match message.kind.0 {
        1 => Some(with("added ", &mentioned(), " to the group")),
        2 => Some(with("removed ", &mentioned(), " from the group")),
        3 => match message.call.as_ref().and_then(|call| call.ended_timestamp.as_deref()) {
            Some(end) => Some(Rich::plain(format!("had a call{}", until(end)))),
            None => plain("started a call"),
        },
        4 => Some(with("changed the name of the channel to ", &bold(content), "")),
        5 => plain("changed the picture of the channel"),
        6 => plain("pinned a message"),
        7 => plain("joined the server"),
        8 if content.is_empty() => plain("boosted the server"),
        8 => Some(Rich::plain(format!("boosted the server {content} times"))),
        9..=11 => Some(Rich::plain(format!(
            "boosted the server, which is on level {} now",
            message.kind.0 - 8
        ))),
        12 => Some(with("follows the announcements of ", &bold(content), " here from now on")),
        14 => plain("The server is no longer listed in Discord's directory."),
        15 => plain("The server can be listed in Discord's directory again."),
        16 => plain("The server has not met the conditions of Discord's directory for a week."),
        17 => {
            plain("The server has not met the conditions of Discord's directory for three weeks.")
        }
        18 => Some(with("started a thread: ", &bold(content), "")),
        22 => plain("Wondering whom to invite? Start with those who share your interests."),
        24 => Some(auto_moderation(message)),
        25 => plain("bought a subscription of a role"),
        27 => Some(with("started a stage: ", &bold(content), "")),
        28 => Some(with("ended the stage: ", &bold(content), "")),
        29 => plain("is a speaker now"),
        30 => plain("asks to speak"),
        31 => Some(with("changed the topic of the stage to ", &bold(content), "")),
        32 => plain("upgraded an application"),
        36 => Some(Rich::plain(format!("turned on security actions{}", until(content)))),
        37 => plain("turned off security actions"),
        38 => plain("reported a raid"),
        39 => plain("took back the report of a raid"),
        44 => plain("bought something"),
        46 => Some(poll_result(message)),
        // Beginnings of threads only point at the message that they began with.
        21 => None,
        other => Some(Rich::plain(format!(
            "did something that this bridge doesn't know (message of type {other}){}{content}",
            if content.is_empty() { "" } else { ": " }
        ))),
    }
}

/// Whether its author did it, so that it reads on from their name.
pub(super) fn is_deed(kind: Kind) -> bool {
    !matches!(kind.0, 14..=17 | 22 | 24 | 46)
}

fn bold(text: &str) -> Rich {
    let mut rich = Rich::new();
    rich.push_styled(text, Style::Bold);
    rich
}

fn with(before: &str, middle: &Rich, after: &str) -> Rich {
    let mut rich = Rich::plain(before);
    rich.append(middle);
    rich.push(after);
    rich
}

fn until(timestamp: &str) -> String {
    date::parse_ms(timestamp)
        .and_then(|ms| date::date_time(ms.div_euclid(1_000)))
        .map(|time| format!(" until {time}"))
        .unwrap_or_default()
}

fn field<'a>(embed: &'a Embed, name: &str) -> Option<&'a str> {
    embed.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}

/// A message that a rule of the server has caught: only moderators' channels get this.
fn auto_moderation(message: &Message) -> Rich {
    let embed = message.embeds.first();
    let mut rich = Rich::plain("Auto-moderation has flagged a message");
    if let Some(rule) = embed.and_then(|embed| field(embed, "rule_name")) {
        rich.push(" by the rule ");
        rich.push_styled(rule, Style::Bold);
    }
    if let Some(text) = embed.and_then(|embed| embed.description.as_deref()) {
        rich.push("\n");
        rich.push_styled(text, Style::Quote);
    }
    rich
}

/// How a poll came out.
fn poll_result(message: &Message) -> Rich {
    let Some(embed) = message.embeds.first() else { return Rich::plain("The poll has ended.") };
    let mut rich = Rich::plain("The poll ");
    rich.push_styled(field(embed, "poll_question_text").unwrap_or("without a name"), Style::Bold);
    let total = field(embed, "total_votes").unwrap_or("0");
    match field(embed, "victor_answer_text").filter(|text| !text.is_empty()) {
        Some(winner) => {
            rich.push(" has ended: ");
            rich.push_styled(winner, Style::Bold);
            let votes = field(embed, "victor_answer_votes").unwrap_or("0");
            rich.push(&format!(" won with {votes} of {total} votes."));
        }
        None => {
            rich.push(&format!(" has ended without a winner ({total} votes)."));
        }
    }
    rich
}
