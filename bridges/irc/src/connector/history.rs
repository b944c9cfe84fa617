//! What was said while nobody listened: CHATHISTORY (IRCv3 "draft/chathistory"), where the server has it.

use std::time::Duration;

use landbridge_framework::{Dir, EventKey, History, NetError, Next, Page, PageQuery, PortalKey};

use super::{Irc, IrcClient};
use crate::client::{Incoming, SendFailure};
use crate::hub::Hub;
use crate::ids::Chat;

const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of a page where the server sets no limit.
const PAGE: usize = 100;

/// Reads a channel's history.
pub(super) struct ChatHistory;

impl History<Irc> for ChatHistory {
    async fn page(
        &self,
        client: &IrcClient,
        at: &PortalKey<Irc>,
        query: PageQuery<Irc>,
    ) -> Result<Page<Irc>, NetError> {
        let nothing = Page { raw: Vec::new(), next: Next::Done };
        let Chat::Channel { name, .. } = &at.id else { return Ok(nothing) };
        let hub = client.hub_of(at.id.network());
        let handle = hub.online_listener(PATIENCE).await.map_err(NetError::temporary)?;
        let Some(me) = handle.snapshot() else {
            return Err(NetError::temporary("the bot is not connected"));
        };
        let offered = me.caps.has("draft/chathistory") || me.caps.has("chathistory");
        let Some(most) = me.isupport.chathistory.filter(|_| offered) else { return Ok(nothing) };
        let limit = query.limit.clamp(1, if most == 0 { PAGE } else { most });
        let from = query
            .cursor
            .as_deref()
            .or(query.anchor.as_deref())
            .and_then(|id| id.strip_prefix("m:"));
        let lines =
            handle.history(params(name, query.dir, from, limit)).await.map_err(|failure| {
                match failure {
                    refused @ SendFailure::Refused { .. } => NetError::permanent(refused),
                    other => NetError::temporary(other),
                }
            })?;
        let full = lines.len() >= limit;
        let edge = match query.dir {
            Dir::Newer => lines.last(),
            Dir::Older => lines.first(),
        };
        let edge = edge.and_then(Incoming::msgid).map(crate::decode::msgid_key);
        // Only lines with an id: without one nobody could tell whether they have been told before.
        let told = lines.iter().filter(|line| line.msgid().is_some() && said_by_others(hub, line));
        let raw: Vec<_> = told
            .map(|line| hub.said(line, None))
            .map(|raw| (EventKey(raw.key.clone()), raw))
            .collect();
        let next = edge
            .filter(|edge| full && query.cursor.as_deref() != Some(edge))
            .map_or(Next::Done, Next::Cursor);
        Ok(Page { raw, next })
    }
}

fn said_by_others(hub: &Hub, line: &Incoming) -> bool {
    let said = matches!(line.message.command.as_str(), "PRIVMSG" | "NOTICE");
    let source = line.message.source.clone().unwrap_or_default();
    let bot = hub
        .listener()
        .and_then(|handle| handle.snapshot())
        .is_some_and(|me| me.is_me(&source.name));
    said && !bot && !hub.is_ours(&source)
}

fn params(channel: &str, dir: Dir, from: Option<&str>, limit: usize) -> Vec<String> {
    let (command, from) = match (dir, from) {
        (Dir::Newer, Some(id)) => ("AFTER", format!("msgid={id}")),
        (Dir::Older, Some(id)) => ("BEFORE", format!("msgid={id}")),
        // What was handled last has no id the server knows: the newest it has, of which the known are dropped.
        (_, None) => ("LATEST", "*".to_owned()),
    };
    vec![command.to_owned(), channel.to_owned(), from, limit.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_as_the_specification_says() {
        assert_eq!(params("#c", Dir::Newer, Some("x"), 50), ["AFTER", "#c", "msgid=x", "50"]);
        assert_eq!(params("#c", Dir::Older, Some("x"), 50), ["BEFORE", "#c", "msgid=x", "50"]);
        assert_eq!(params("#c", Dir::Newer, None, 9), ["LATEST", "#c", "*", "9"]);
    }
}
