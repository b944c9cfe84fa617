//! Finding people and channels.

use landbridge_framework::prelude::*;
use serde_json::{Value, json};

use super::{Connection, Slack, room};
use crate::{
    client::ApiError,
    ids::{self, User},
    json::{flag, said, text},
    people,
};

/// People that a search looks through, and that it finds.
const MAX_SEARCHED: usize = 20_000;
const MAX_FOUND: usize = 50;

/// See the module.
pub(super) struct Workspaces;

impl Directory<Slack> for Workspaces {
    async fn resolve(&self, client: &Connection, query: &str) -> Result<Option<User>, NetError> {
        let query = query.trim().trim_start_matches('@');
        if let Ok(user) = User::decode(query) {
            return known(client, user).await;
        }
        for team in room::teams(client) {
            if ids::is_id(query)
                && let Some(user) = known(client, User::new(&team, query)).await?
            {
                return Ok(Some(user));
            }
            if query.contains('@') && client.account.person().is_some() {
                let (session, _) = client.eyes(&team)?;
                match session.get("users.lookupByEmail", &[("email", query)]).await {
                    Ok(found) => {
                        let id = found.pointer("/user/id").and_then(Value::as_str);
                        return Ok(id.map(|id| User::new(&team, id)));
                    }
                    Err(ApiError::Refused(_)) => continue,
                    Err(error) => return Err(error.looking()),
                }
            }
            let found = people_of(client, &team).await?;
            let same = |user: &&Value| {
                said(user, "name") == Some(query) || people::user_name(user) == Some(query)
            };
            if let Some(id) = found.iter().find(same).and_then(|user| text(user, "id")) {
                return Ok(Some(User::new(&team, id)));
            }
        }
        Ok(None)
    }

    async fn search(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Vec<(User, UserInfo)>, NetError> {
        let query = query.trim().to_lowercase();
        let mut found = Vec::new();
        for team in room::teams(client) {
            for user in people_of(client, &team).await? {
                let profile = user.get("profile").unwrap_or(&Value::Null);
                let names = [
                    said(&user, "name"),
                    said(&user, "real_name"),
                    said(profile, "display_name"),
                    said(profile, "real_name"),
                ];
                let fits = names.iter().flatten().any(|name| name.to_lowercase().contains(&query));
                if fits && let Some(id) = text(&user, "id").filter(|id| ids::is_id(id)) {
                    found.push((User::new(&team, id), people::user_info(&user)));
                }
            }
        }
        found.truncate(MAX_FOUND);
        Ok(found)
    }

    async fn open_dm(
        &self,
        client: &Connection,
        user: &User,
    ) -> Result<PortalKey<Slack>, NetError> {
        let Some(me) = client.account.person() else {
            return Err(NetError::permanent(
                "direct messages need an account of your own: log in to Slack first",
            ));
        };
        if me.team != user.team || user.is_bot() {
            return Err(NetError::permanent("they can't be written to from this account"));
        }
        let (session, _) = client.eyes(&me.team)?;
        let body = json!({ "users": user.user, "return_im": true });
        let opened = session.post("conversations.open", &body).await.map_err(ApiError::looking)?;
        let channel = opened.pointer("/channel/id").and_then(Value::as_str);
        let channel = channel.filter(|id| ids::is_id(id));
        let channel = channel.ok_or_else(|| NetError::temporary("Slack opened no conversation"))?;
        let chat = crate::ids::Chat::new(&me.team, channel);
        if let Some(listener) = client.listener() {
            listener.enters(&chat);
        }
        Ok(if chat.is_direct() {
            PortalKey::private(chat, client.account.clone())
        } else {
            PortalKey::shared(chat)
        })
    }

    async fn find_chat(
        &self,
        client: &Connection,
        query: &str,
    ) -> Result<Option<PortalKey<Slack>>, NetError> {
        let found = room::find(client, query).await?;
        Ok(found.map(|chat| {
            if chat.is_direct() {
                PortalKey::private(chat, client.account.clone())
            } else {
                PortalKey::shared(chat)
            }
        }))
    }
}

async fn known(client: &Connection, user: User) -> Result<Option<User>, NetError> {
    let Ok((session, _)) = client.eyes(&user.team) else { return Ok(None) };
    match session.get_patiently("users.info", &[("user", user.user.as_str())]).await {
        Ok(_) => Ok(Some(user)),
        Err(ApiError::Refused(_)) => Ok(None),
        Err(error) => Err(error.looking()),
    }
}

/// The people of a workspace who are there.
async fn people_of(client: &Connection, team: &str) -> Result<Vec<Value>, NetError> {
    let (session, _) = client.eyes(team)?;
    let all = session.pages("users.list", &[("limit", "500")], "members", MAX_SEARCHED).await;
    let all = all.map_err(ApiError::looking)?;
    Ok(all.into_iter().filter(|user| !flag(user, "deleted")).collect())
}
