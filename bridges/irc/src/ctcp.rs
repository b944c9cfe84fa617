//! Answers to CTCP requests: what people's clients ask to see who or what somebody is.

use std::time::Duration;

use tokio::time::Instant;

use crate::message::Message;

/// The least time between two answers: CTCP is an old way to make somebody flood himself off a network.
const PAUSE: Duration = Duration::from_secs(2);

/// Answers requests, slowly.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    last: Option<Instant>,
}

impl Answers {
    /// The answer to a line, if it asks for one and the last is long enough ago.
    pub(crate) fn answer(&mut self, line: &Message) -> Option<Message> {
        if line.command != "PRIVMSG" {
            return None;
        }
        let request = line.param(1).strip_prefix('\x01')?.trim_end_matches('\x01');
        let (command, rest) = request.split_once(' ').unwrap_or((request, ""));
        let text = match command.to_ascii_uppercase().as_str() {
            "VERSION" => concat!("VERSION Landbridge ", env!("CARGO_PKG_VERSION")).to_owned(),
            "PING" => format!("PING {}", rest.chars().take(64).collect::<String>()),
            "CLIENTINFO" => "CLIENTINFO ACTION CLIENTINFO PING SOURCE VERSION".to_owned(),
            "SOURCE" => "SOURCE Landbridge, a Matrix bridge".to_owned(),
            _ => return None,
        };
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(Message::new("NOTICE", [line.nick().to_owned(), format!("\x01{text}\x01")]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &mut Answers, line: &str) -> Option<String> {
        answers.answer(&Message::parse(line.as_bytes()).unwrap()).map(|m| m.to_line().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn answers_what_it_knows_and_not_too_often() {
        let mut answers = Answers::default();
        assert_eq!(
            ask(&mut answers, ":a!b@c PRIVMSG me :\x01PING 1 2\x01").unwrap(),
            "NOTICE a :\x01PING 1 2\x01\r\n"
        );
        assert_eq!(ask(&mut answers, ":a!b@c PRIVMSG me :\x01VERSION\x01"), None);
        tokio::time::advance(PAUSE).await;
        assert!(
            ask(&mut answers, ":a!b@c PRIVMSG me :\x01VERSION\x01")
                .unwrap()
                .contains("VERSION Landbridge")
        );
        tokio::time::advance(PAUSE).await;
        for silent in [
            ":a!b@c PRIVMSG me :\x01ACTION waves\x01",
            ":a!b@c PRIVMSG me :VERSION",
            ":a!b@c NOTICE me :\x01VERSION x\x01",
        ] {
            assert_eq!(ask(&mut answers, silent), None);
        }
    }
}
