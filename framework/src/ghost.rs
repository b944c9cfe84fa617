//! Ghosts: the Matrix users that stand for users of the network; their names on Matrix and their profiles.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::{
    config::BridgeConfig,
    engine::{Engine, Failure},
    event::UserInfo,
    matrix::Intent,
    store::{Batch, GhostRow},
};

/// How many ghosts are remembered as ready: the others are looked up again.
const CACHED: usize = 10_000;
/// How long a ghost without a profile is left alone before the network is asked again, in milliseconds.
const ASK_AGAIN: i64 = 5 * 60_000;

/// The ghosts that are ready to act.
pub(crate) struct Ghosts {
    ready: Cache<String, i64>,
}
impl Default for Ghosts {
    fn default() -> Self {
        Self { ready: Cache::new(CACHED) }
    }
}

/// Writes any text in the characters that a localpart may have (Appendices, "Mapping from other character sets").
/// Different texts give different localparts.
pub(crate) fn encode_localpart(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'/' => out.push(char::from(byte)),
            b'A'..=b'Z' => {
                out.push('_');
                out.push(char::from(byte.to_ascii_lowercase()));
            }
            b'_' => out.push_str("__"),
            // Writing to a string can't fail.
            _ => drop(write!(out, "={byte:02x}")),
        }
    }
    out
}

/// Reads [`encode_localpart`] back; `None` where it could not have come from there.
pub(crate) fn decode_localpart(localpart: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(localpart.len());
    let mut rest = localpart.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'_' => match rest.next()? {
                b'_' => bytes.push(b'_'),
                lower @ b'a'..=b'z' => bytes.push(lower.to_ascii_uppercase()),
                _ => return None,
            },
            b'=' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push((high << 4 | low) as u8);
            }
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'/' => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// The longest Matrix ID, with sigil and server name (Appendices, "User Identifiers").
const MAX_MXID: usize = 255;

impl BridgeConfig {
    /// The localpart of a ghost. One that would be too long ends in a hash.
    pub(crate) fn ghost_localpart(&self, id: &str, server_name: &str) -> String {
        use sha2::{Digest, Sha256};
        let localpart = self.username_template.replace("{}", &encode_localpart(id));
        let room = MAX_MXID.saturating_sub(server_name.len() + 2);
        if localpart.len() <= room {
            return localpart;
        }
        let hash = crate::keys::base32(&Sha256::digest(id.as_bytes()));
        self.username_template.replace("{}", &format!("=hash-{hash}"))
    }

    /// What a ghost's localpart begins and ends with.
    pub(crate) fn ghost_affixes(&self) -> (&str, &str) {
        self.username_template.split_once("{}").unwrap_or((&self.username_template, ""))
    }
}

impl Engine {
    /// The Matrix ID of a user's ghost.
    pub(crate) fn ghost_mxid(&self, id: &str) -> String {
        self.matrix.user_id(&self.config.ghost_localpart(id, self.matrix.server_name()))
    }

    /// Whether a Matrix ID is that of a ghost of ours.
    pub(crate) fn is_ghost(&self, mxid: &str) -> bool {
        self.ghost_part(mxid).is_some()
    }

    /// Whether a Matrix ID is the bot's or a ghost's.
    pub(crate) fn is_ours(&self, mxid: &str) -> bool {
        mxid == self.matrix.bot_id() || self.is_ghost(mxid)
    }

    fn ghost_part<'a>(&self, mxid: &'a str) -> Option<&'a str> {
        let (prefix, suffix) = self.config.ghost_affixes();
        let localpart = mxid.strip_prefix('@')?.split_once(':')?.0;
        let part = localpart.strip_prefix(prefix)?.strip_suffix(suffix)?;
        (self.matrix.is_local(mxid) && !part.is_empty() && mxid != self.matrix.bot_id())
            .then_some(part)
    }

    /// The network's user behind a ghost's Matrix ID, whether or not the ghost exists yet.
    pub(crate) async fn user_of_ghost(&self, mxid: &str) -> Result<Option<String>, Failure> {
        if let Some(known) = self.store.ghost_of_mxid(mxid).await? {
            return Ok(Some(known));
        }
        Ok(self.ghost_part(mxid).and_then(decode_localpart))
    }

    /// A ghost, registered and with the profile that the network gives it.
    pub(crate) async fn ghost(&self, id: &str, via: Option<&str>) -> Result<Intent, Failure> {
        let mxid = self.ghost_mxid(id);
        let intent = self.matrix.ghost(&mxid);
        let now = self.now();
        if self.ghosts.ready.get(id).is_some_and(|until| until > now) {
            return Ok(intent);
        }
        intent.ensure_registered().await?;
        let known = self.store.ghost(id).await?;
        let fresh = known.as_ref().is_some_and(|ghost| ghost.checked_at > 0);
        let mut until = i64::MAX;
        if !fresh {
            let info = match self.logins.any_account(via) {
                Some(account) => account.user(id).await.ok(),
                None => None,
            };
            if info.is_none() {
                until = now + ASK_AGAIN;
            }
            let checked = info.is_some();
            let info = info.unwrap_or_else(|| UserInfo::named(id));
            self.apply_profile(id, &info, checked, via).await?;
        }
        self.ghosts.ready.insert(id.to_owned(), until);
        Ok(intent)
    }

    /// Gives a ghost a profile, if it differs from what it has. `checked` says that the network knows it to be so.
    pub(crate) async fn apply_profile(
        &self,
        id: &str,
        info: &UserInfo,
        checked: bool,
        via: Option<&str>,
    ) -> Result<(), Failure> {
        let mxid = self.ghost_mxid(id);
        let intent = self.matrix.ghost(&mxid);
        intent.ensure_registered().await?;
        let old = self.store.ghost(id).await?;
        let mut ghost = old.clone().unwrap_or_else(|| GhostRow {
            id: id.to_owned(),
            mxid,
            ..GhostRow::default()
        });
        let name = info.name.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(id);
        let name: String =
            self.config.displayname_template.replace("{}", name).chars().take(255).collect();
        if ghost.name.as_ref() != Some(&name) {
            intent.set_displayname(&name).await?;
            ghost.name = Some(name);
        }
        let avatar = info.avatar.as_ref().map(|avatar| avatar.0.clone());
        if ghost.avatar != avatar {
            // A picture that can't be had must not hold up what its owner says.
            match self.avatar_mxc(avatar.as_deref(), via).await {
                Ok(mxc) => {
                    intent.set_avatar(mxc.as_deref().unwrap_or("")).await?;
                    ghost.avatar = avatar;
                    ghost.avatar_mxc = mxc;
                }
                Err(error) => tracing::warn!(user = id, %error, "a picture could not be fetched"),
            }
        }
        ghost.bot = info.bot;
        if checked {
            ghost.checked_at = self.now();
        }
        if old.as_ref() != Some(&ghost) {
            let mut batch = Batch::new();
            batch.save_ghost(&ghost);
            self.store.commit(batch).await?;
        }
        if checked {
            self.ghosts.ready.insert(id.to_owned(), i64::MAX);
        }
        Ok(())
    }

    async fn avatar_mxc(
        &self,
        source: Option<&str>,
        via: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let Some(source) = source else { return Ok(None) };
        let media = crate::event::MediaRef(source.to_owned());
        Ok(Some(self.upload(&media, via, None, None).await?.mxc))
    }

    /// A user's profile changed on the network: asks again, if it wasn't given.
    pub(crate) async fn user_changed(
        self: &Arc<Self>,
        id: &str,
        info: Option<UserInfo>,
        via: &str,
    ) -> Result<(), Failure> {
        let info = match info {
            Some(info) => info,
            None => match self.logins.any_account(Some(via)) {
                Some(account) => account.user(id).await?,
                None => return Ok(()),
            },
        };
        self.apply_profile(id, &info, true, Some(via)).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn localparts_are_as_the_specification_maps_them() {
        assert_eq!(encode_localpart("Bob_é"), "_bob__=c3=a9");
        let config = BridgeConfig::for_network("irc");
        assert_eq!(config.ghost_localpart("Bob", "example.org"), "irc__bob");
        assert!(config.ghost_localpart(&"x".repeat(500), "example.org").len() < 100);
    }

    proptest! {
        #[test]
        fn every_identifier_comes_back(id in ".*") {
            let localpart = encode_localpart(&id);
            prop_assert_eq!(decode_localpart(&localpart), Some(id));
            prop_assert!(localpart.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._=-/".contains(&b)));
        }
    }
}
