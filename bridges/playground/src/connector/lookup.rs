//! Reading history, and finding people and chats.

use landbridge_framework::{Dir, Next, Page, PageQuery, prelude::*};

use super::{Connection, Playground, Raw, net_error};
use crate::{
    client::ApiError,
    convert::event_key,
    wire::{ChatKind, NewChat},
};

/// Most people that a search looks through.
const MAX_SEARCHED: usize = 20_000;
/// Most people that a search finds.
const MAX_FOUND: usize = 50;

/// Reads history, by message number.
pub(super) struct Past;

impl History<Playground> for Past {
    async fn page(
        &self,
        client: &Connection,
        at: &PortalKey<Playground>,
        query: PageQuery<Playground>,
    ) -> Result<Page<Playground>, NetError> {
        let older = query.dir == Dir::Older;
        let from = match (query.cursor, query.anchor) {
            (Some(cursor), _) => {
                cursor.parse().map_err(|_| NetError::permanent("a cursor that isn't ours"))?
            }
            (None, Some(anchor)) => {
                client.api.message(&anchor).await.map_err(|error| net_error(&error))?.number
            }
            (None, None) if older => i64::MAX,
            (None, None) => 0,
        };
        let limit = query.limit.clamp(1, 500);
        let page = client
            .api
            .messages(&at.id, older, from, limit)
            .await
            .map_err(|error| net_error(&error))?;
        let edge = if older { page.messages.first() } else { page.messages.last() };
        let next = match edge {
            Some(message) if page.more => Next::Cursor(message.number.to_string()),
            _ => Next::Done,
        };
        let raw = page.messages.into_iter().map(|message| {
            (EventKey(event_key(message.seq)), Raw::Past { chat: at.id.clone(), message })
        });
        Ok(Page { raw: raw.collect(), next })
    }
}

/// Finds people and chats.
pub(super) struct Everybody;

impl Directory<Playground> for Everybody {
    async fn resolve(&self, client: &Connection, query: &str) -> Result<Option<String>, NetError> {
        let id = query.trim().trim_start_matches('@').to_lowercase();
        match client.api.person(&id).await {
            Ok(person) => Ok(Some(person.id)),
            Err(error) if error.code() == Some("not_found") => Ok(None),
            Err(error) => Err(net_error(&error)),
        }
    }

    async fn search(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Vec<(String, UserInfo)>, NetError> {
        let query = query.trim().to_lowercase();
        let (mut found, mut after, mut searched) = (Vec::new(), String::new(), 0);
        while searched < MAX_SEARCHED && found.len() < MAX_FOUND {
            let people = client.api.people(&after).await.map_err(|error| net_error(&error))?;
            let Some(last) = people.last() else { break };
            after.clone_from(&last.id);
            searched += people.len();
            let fits = people.into_iter().filter(|person| {
                person.id.contains(&query) || person.name.to_lowercase().contains(&query)
            });
            found.extend(fits.map(|person| {
                (
                    person.id,
                    UserInfo { name: Some(person.name), bot: person.bot, ..UserInfo::default() },
                )
            }));
        }
        found.truncate(MAX_FOUND);
        Ok(found)
    }

    async fn open_dm(
        &self,
        client: &Connection,
        user: &String,
    ) -> Result<PortalKey<Playground>, NetError> {
        let new = NewChat {
            actor: None,
            key: None,
            id: None,
            kind: ChatKind::Direct,
            name: None,
            topic: None,
            members: vec![user.clone()],
        };
        let chat = client.api.new_chat(new).await.map_err(|error| net_error(&error))?;
        Ok(PortalKey::private(chat.id, client.api.actor().to_owned()))
    }

    async fn find_chat(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Option<PortalKey<Playground>>, NetError> {
        let id = query.trim().trim_start_matches('#').to_lowercase();
        match client.api.chat(&id).await {
            Ok(chat) if chat.kind == ChatKind::Group => Ok(Some(PortalKey::shared(chat.id))),
            Ok(_) => Ok(None),
            Err(ApiError::Refused(refusal)) if refusal.code == "not_found" => Ok(None),
            Err(error) => Err(net_error(&error)),
        }
    }
}
