//! Finding people and chats.

use grammers_tl_types as tl;
use landbridge_framework::{RemoteId as _, event::UserInfo, prelude::*};

use super::{Connection, Telegram};
use crate::{
    client::{ApiError, Live},
    ids::{ChatId, Peer, UserId},
};

/// How many people a search gives.
const MAX_FOUND: i32 = 30;
/// Below minus this the Bot API numbers channels.
const BOT_API_CHANNELS: i64 = 1_000_000_000_000;

/// Finds people and chats.
pub(super) struct Everybody;

/// What people write to name somebody or something.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// `@name`, `t.me/name`.
    Username(String),
    /// `+49301234`.
    Phone(String),
    /// An invite link's secret part.
    Invite(String),
    /// An identifier: ours, or as the Bot API has it (`-100...`).
    Chat(ChatId),
}

fn named(query: &str) -> Option<Named> {
    let query = query.trim();
    let link =
        query.strip_prefix("https://").or_else(|| query.strip_prefix("http://")).unwrap_or(query);
    let path =
        ["t.me/", "telegram.me/", "telegram.dog/"].iter().find_map(|host| link.strip_prefix(host));
    if let Some(path) = path {
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        if let Some(hash) = path.strip_prefix('+').or_else(|| path.strip_prefix("joinchat/")) {
            return Some(Named::Invite(hash.to_owned())).filter(|_| !hash.is_empty());
        }
        if let Some(rest) = path.strip_prefix("c/") {
            let id = rest.split('/').next()?.parse().ok().filter(|id| *id > 0)?;
            return Some(Named::Chat(ChatId::of(Peer::Channel(id))));
        }
        return username(path.split('/').next()?);
    }
    if let Some(number) = query.strip_prefix('+') {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        // As E.164 has it.
        let fits = (5..=15).contains(&digits.len());
        return fits.then_some(Named::Phone(digits));
    }
    if let Ok(chat) = ChatId::decode(query) {
        return Some(Named::Chat(chat));
    }
    // The Bot API's numbers: groups below nought, and channels below those.
    if let Some(number) = query.parse::<i64>().ok().filter(|id| *id < 0) {
        let peer = match number.checked_add(BOT_API_CHANNELS) {
            Some(channel) if channel < 0 => Peer::Channel(channel.checked_neg()?),
            _ => Peer::Group(number.checked_neg()?),
        };
        return Some(Named::Chat(ChatId::of(peer)));
    }
    if let Some(number) = query.parse::<i64>().ok().filter(|id| *id > 0) {
        return Some(Named::Chat(ChatId::of(Peer::User(number))));
    }
    username(query.strip_prefix('@').unwrap_or(query))
}

/// Names begin with a letter and have 4 to 32 characters.
fn username(name: &str) -> Option<Named> {
    let good = (4..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then(|| Named::Username(name.to_owned()))
}

impl Live {
    /// Whom or what a name stands for.
    async fn resolve(&self, named: Named) -> Result<Option<Peer>, ApiError> {
        let answer = match named {
            Named::Username(username) => {
                let request = tl::functions::contacts::ResolveUsername { username, referer: None };
                self.api.invoke(&request).await
            }
            Named::Phone(phone) => {
                self.api.invoke(&tl::functions::contacts::ResolvePhone { phone }).await
            }
            Named::Chat(chat) => {
                // Telegram looks nobody up by number; whoever was seen is known.
                return Ok(self.input(chat.peer).await.ok().map(|_| chat.peer));
            }
            Named::Invite(hash) => return self.enter(hash).await.map(Some),
        };
        match answer {
            Ok(tl::enums::contacts::ResolvedPeer::Peer(found)) => {
                self.learn(&found.users, &found.chats).await?;
                Ok(Some((&found.peer).into()))
            }
            Err(error)
                if error.is("USERNAME_NOT_OCCUPIED")
                    || error.is("USERNAME_INVALID")
                    || error.is("PHONE_NOT_OCCUPIED") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Follows an invite link, and enters the chat if the account isn't in it.
    async fn enter(&self, hash: String) -> Result<Peer, ApiError> {
        let check = tl::functions::messages::CheckChatInvite { hash: hash.clone() };
        let chats = match self.api.invoke(&check).await? {
            tl::enums::ChatInvite::Already(already) => vec![already.chat],
            tl::enums::ChatInvite::Peek(_) | tl::enums::ChatInvite::Invite(_) => {
                let request = tl::functions::messages::ImportChatInvite { hash };
                match self.api.invoke(&request).await? {
                    tl::enums::messages::ChatInviteJoinResult::Ok(joined) => {
                        chats_of(joined.updates)
                    }
                    tl::enums::messages::ChatInviteJoinResult::WebView(_) => {
                        return Err(ApiError::Unknown(
                            "that chat: it wants more than a link".into(),
                        ));
                    }
                }
            }
        };
        self.learn(&[], &chats).await?;
        chats
            .iter()
            .find_map(|chat| match chat {
                tl::enums::Chat::Chat(chat) => Some(Peer::Group(chat.id)),
                tl::enums::Chat::Channel(channel) => Some(Peer::Channel(channel.id)),
                _ => None,
            })
            .ok_or_else(|| ApiError::Unknown("that chat".into()))
    }
}

fn chats_of(updates: tl::enums::Updates) -> Vec<tl::enums::Chat> {
    match updates {
        tl::enums::Updates::Updates(updates) => updates.chats,
        tl::enums::Updates::Combined(updates) => updates.chats,
        _ => Vec::new(),
    }
}

impl Directory<Telegram> for Everybody {
    async fn resolve(&self, client: &Connection, query: &str) -> Result<Option<UserId>, NetError> {
        let live = client.live()?;
        let found = match named(query) {
            Some(Named::Invite(_)) | None => return Ok(None),
            Some(named) => live.resolve(named).await?,
        };
        Ok(found.filter(|peer| matches!(peer, Peer::User(_))).map(UserId))
    }

    async fn search(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Vec<(UserId, UserInfo)>, NetError> {
        let live = client.live()?;
        let request = tl::functions::contacts::Search {
            broadcasts: false,
            bots: false,
            q: query.trim().chars().take(64).collect(),
            limit: MAX_FOUND,
        };
        let tl::enums::contacts::Found::Found(found) = live.api.invoke(&request).await?;
        live.learn(&found.users, &found.chats).await?;
        let mut out = Vec::new();
        for peer in found.my_results.iter().chain(&found.results) {
            let id = UserId(Peer::from(peer));
            if matches!(id.0, Peer::User(_)) && !out.iter().any(|(known, _)| *known == id) {
                out.push((id, live.describe_user(id).await?));
            }
        }
        Ok(out)
    }

    async fn open_dm(
        &self,
        client: &Connection,
        user: &UserId,
    ) -> Result<PortalKey<Telegram>, NetError> {
        let live = client.live()?;
        let Peer::User(id) = user.0 else {
            return Err(NetError::permanent("only people have direct chats"));
        };
        // Says early whether they can be written to at all.
        live.peers.input_user(id, live.me).await?;
        Ok(PortalKey::private(ChatId::of(user.0), client.login.id))
    }

    async fn find_chat(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Option<PortalKey<Telegram>>, NetError> {
        let live = client.live()?;
        let Some(named) = named(query) else { return Ok(None) };
        let topic = match &named {
            Named::Chat(chat) => chat.topic,
            _ => None,
        };
        let Some(peer) = live.resolve(named).await? else { return Ok(None) };
        let chat = ChatId { peer, topic };
        Ok(Some(if peer.is_account_wide() {
            PortalKey::private(chat, client.login.id)
        } else {
            PortalKey::shared(chat)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        let channel = |id| Some(Named::Chat(ChatId::of(Peer::Channel(id))));
        let username = |name: &str| Some(Named::Username(name.into()));
        for (query, wanted) in [
            ("@durov", username("durov")),
            ("durov", username("durov")),
            ("https://t.me/durov?start=1", username("durov")),
            ("t.me/durov/123", username("durov")),
            ("https://t.me/+AbC_d-1", Some(Named::Invite("AbC_d-1".into()))),
            ("https://t.me/joinchat/AbC", Some(Named::Invite("AbC".into()))),
            ("https://t.me/c/123/4", channel(123)),
            ("c123", channel(123)),
            ("c123.5", Some(Named::Chat(ChatId::topic(Peer::Channel(123), 5)))),
            ("-1001234567890", channel(1_234_567_890)),
            ("-42", Some(Named::Chat(ChatId::of(Peer::Group(42))))),
            ("-1005", Some(Named::Chat(ChatId::of(Peer::Group(1005))))),
            ("777000", Some(Named::Chat(ChatId::of(Peer::User(777_000))))),
            ("+49 (30) 12 34 56 78 90", Some(Named::Phone("49301234567890".into()))),
            ("+49 30 123456", Some(Named::Phone("4930123456".into()))),
            ("", None),
            ("a b", None),
            ("@x", None),
            ("https://t.me/", None),
            ("https://t.me/+", None),
            ("-100", Some(Named::Chat(ChatId::of(Peer::Group(100))))),
        ] {
            assert_eq!(named(query), wanted, "{query}");
        }
    }
}
