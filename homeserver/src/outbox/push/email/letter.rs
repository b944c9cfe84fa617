//! What an e-mail says of unread messages: room by room, who wrote what, shortly.

use std::fmt::Write as _;

use lettre::Address;
use ruma::UserId;
use ruma::events::TimelineEventType;

use super::unsubscribe;
use crate::app::App;
use crate::outbox::push::gateway::current;
use crate::outbox::push::news::News;
use crate::room::{MEMBER, RoomError};
use crate::services::email::Letter;

/// The longest text of a message, name of a room or of a person that is shown, in characters.
const LONGEST: usize = 200;

/// Messages that are told of, in the order in which rooms and messages came.
#[derive(Debug, Default)]
pub struct Told {
    rooms: Vec<Room>,
    /// Whether there is more.
    pub(super) more: bool,
}

#[derive(Debug)]
struct Room {
    id: String,
    name: String,
    lines: Vec<String>,
}

impl Told {
    /// Adds a message.
    pub(in crate::outbox::push) async fn add(
        &mut self,
        app: &App,
        user: &UserId,
        news: &News,
    ) -> Result<(), RoomError> {
        let pdu = &news.event.pdu;
        let sender = named(app, news, MEMBER, pdu.sender.as_str(), "displayname").await?;
        let sender = sender.unwrap_or_else(|| pdu.sender.to_string());
        let line = match &pdu.kind {
            TimelineEventType::RoomMember if pdu.state_key() == Some(user.as_str()) => {
                format!("{sender} invites you")
            }
            TimelineEventType::RoomEncrypted => format!("{sender}: (encrypted)"),
            kind => match pdu.content_str("body") {
                Some(body) if pdu.content_str("msgtype").as_deref() == Some("m.emote") => {
                    format!("* {sender} {}", shortened(&body))
                }
                Some(body) => format!("{sender}: {}", shortened(&body)),
                None => without_text(&sender, kind),
            },
        };
        if let Some(room) = self.rooms.iter_mut().find(|room| room.id == pdu.room_id.as_str()) {
            room.lines.push(line);
            return Ok(());
        }
        let mut name = named(app, news, "m.room.name", "", "name").await?;
        if name.is_none() {
            name = named(app, news, "m.room.canonical_alias", "", "alias").await?;
        }
        let name = name.unwrap_or(sender);
        self.rooms.push(Room { id: pdu.room_id.to_string(), name, lines: vec![line] });
        Ok(())
    }

    /// Whether there is nothing to tell of.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// The e-mail.
    pub(super) fn letter(&self, app: &App, user: &UserId, to: Address, pushkey: &str) -> Letter {
        let unsubscribe = unsubscribe::link(app, user, pushkey);
        let text = self.text(user, &unsubscribe);
        let subject = format!("{} ({})", self.subject(), app.config.server_name);
        Letter { to, subject, text, unsubscribe: Some(unsubscribe) }
    }

    fn subject(&self) -> String {
        match &*self.rooms {
            [room] => format!("Unread messages in {}", room.name),
            rooms => format!("Unread messages in {} rooms", rooms.len()),
        }
    }

    fn text(&self, user: &UserId, unsubscribe: &str) -> String {
        let mut text = format!("Hello,\n\nthere is something for {user} that you have not read:\n");
        for Room { id, name, lines } in &self.rooms {
            let _ = write!(text, "\n{name}\nhttps://matrix.to/#/{id}\n");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        if self.more {
            text.push_str("\n... and more.\n");
        }
        let _ = write!(
            text,
            "\nYour Matrix client asked for e-mails about what you have not read. To get no more of them, open this link:\n\
             {unsubscribe}\n"
        );
        text
    }
}

/// A name in the room's state, as it can be shown.
async fn named(
    app: &App,
    news: &News,
    kind: &str,
    key: &str,
    field: &str,
) -> Result<Option<String>, RoomError> {
    let value = current(app, &news.snapshot, kind, key, field).await?;
    Ok(value.map(|value| shortened(&value)).filter(|value| !value.is_empty()))
}

/// The line about an event that has no text: its type is anybody's choice, too.
fn without_text(sender: &str, kind: &TimelineEventType) -> String {
    format!("{sender}: ({})", shortened(&kind.to_string()))
}

/// What others wrote, as one short line.
fn shortened(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        if words.len() > 4 * LONGEST {
            break;
        }
    }
    if words.chars().count() <= LONGEST {
        return words;
    }
    let mut short: String = words.chars().take(LONGEST - 3).collect();
    short.push_str("...");
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_one_short_line() {
        assert_eq!(shortened(" a\r\nBcc:  b\u{0}c\t"), "a Bcc: b c");
        assert_eq!(shortened("\n"), "");
        let long = shortened(&"\u{e9}".repeat(5_000));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with("..."));
        let kind = TimelineEventType::from("org.a\r\n\r\nPay here: b");
        assert_eq!(without_text("@a:h", &kind), "@a:h: (org.a Pay here: b)");
    }

    #[test]
    fn an_email_tells_room_by_room_and_that_there_is_more() {
        let room = |id: &str, lines: &[&str]| Room {
            id: id.to_owned(),
            name: format!("Room {id}"),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let mut told =
            Told { rooms: vec![room("!a", &["x: 1", "y: 2"]), room("!b", &["z: 3"])], more: true };
        assert_eq!(told.subject(), "Unread messages in 2 rooms");
        let user = <&UserId>::try_from("@u:h").unwrap();
        let text = told.text(user, "https://h/stop");
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        assert!(place("Room !a") < place("  y: 2") && place("  y: 2") < place("Room !b"));
        assert!(place("... and more") < place("https://h/stop"));
        told.more = false;
        assert!(!told.text(user, "").contains("... and more"));
    }
}
