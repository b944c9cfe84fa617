//! Profiles (Client-Server API, "Profiles"), with custom fields.
//!
//! A changed name or avatar goes into the user's rooms in the background: the job is written with the change, and goes on
//! after a restart. See [`spread`].

pub mod spread;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use http::StatusCode;
use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::commit::Committer;
use crate::http::error::{ApiError, ApiResult};
use crate::services::cache::LoadCache;
use crate::services::user_directory::words_of;
use crate::storage::{profiles, user_directory};

const CACHED: usize = 20_000;
/// The most that a whole profile may take as JSON (the spec's limit).
const MAX_PROFILE_BYTES: usize = 65_536;
const MAX_KEY_BYTES: usize = 255;
/// Longer display names than this are refused; member events carry them.
const MAX_NAME_BYTES: usize = 1_024;

/// The field with the display name.
pub const DISPLAYNAME: &str = "displayname";
/// The field with the avatar's `mxc:` address.
pub const AVATAR_URL: &str = "avatar_url";

/// A profile: JSON by field.
pub type Profile = Map<String, Value>;

/// The profiles of this server's users.
pub struct Profiles {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    known: LoadCache<OwnedUserId, Arc<Profile>>,
    work: Arc<Notify>,
}

/// Checks a field's name: the fields of the spec and what follows its grammar for custom ones.
fn check_field(field: &str) -> ApiResult<()> {
    if field.len() > MAX_KEY_BYTES {
        let text = format!("The name of a profile field may have {MAX_KEY_BYTES} bytes");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_KEY_TOO_LARGE", text));
    }
    let mut chars = field.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    if starts && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c)) {
        return Ok(());
    }
    Err(ApiError::invalid_param(format!("{field:?} is not a name for a profile field")))
}

/// Checks the value of a field whose form the spec sets.
pub fn check_value(field: &str, value: &Value) -> ApiResult<()> {
    match (field, value) {
        (DISPLAYNAME, Value::String(name)) if name.len() > MAX_NAME_BYTES => {
            Err(ApiError::too_large(format!("A display name may have {MAX_NAME_BYTES} bytes")))
        }
        (DISPLAYNAME | AVATAR_URL, Value::String(_) | Value::Null) => Ok(()),
        (AVATAR_URL | DISPLAYNAME, _) => {
            Err(ApiError::bad_json(format!("{field} must be a string")))
        }
        _ => Ok(()),
    }
}

impl Profiles {
    /// The profiles in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self { db, committer, clock, known: LoadCache::new(CACHED), work: Arc::new(Notify::new()) }
    }

    /// The whole profile; empty for who has none. A warm one without I/O.
    pub async fn get(&self, user: &UserId) -> ApiResult<Arc<Profile>> {
        let load = async {
            let mut profile = Profile::new();
            for (field, value) in profiles::all(&self.db, user).await? {
                profile.insert(field, serde_json::from_str(&value).map_err(ApiError::internal)?);
            }
            Ok::<_, ApiError>(Some(Arc::new(profile)))
        };
        Ok(self.known.get(&user.to_owned(), load).await?.unwrap_or_default())
    }

    /// Sets a field; `null` removes the display name or the avatar, and so does an empty string.
    pub async fn set(&self, user: &UserId, field: &str, value: Value) -> ApiResult<()> {
        self.merge(user, Profile::from_iter([(field.to_owned(), value)]), false).await
    }

    /// Removes a field.
    pub async fn remove(&self, user: &UserId, field: &str) -> ApiResult<()> {
        check_field(field)?;
        self.write(user, BTreeMap::from([(field.to_owned(), None)])).await
    }

    /// Sets several fields at once; with `whole`, those that aren't named are removed.
    pub async fn merge(&self, user: &UserId, fields: Profile, whole: bool) -> ApiResult<()> {
        let before = self.get(user).await?;
        let mut changes: BTreeMap<String, Option<Value>> = BTreeMap::new();
        if whole {
            changes.extend(before.keys().map(|field| (field.clone(), None)));
        }
        for (field, value) in fields {
            check_field(&field)?;
            check_value(&field, &value)?;
            let gone =
                (field == DISPLAYNAME || field == AVATAR_URL) && (value.is_null() || value == "");
            changes.insert(field, (!gone).then_some(value));
        }
        let mut after = Profile::clone(&before);
        for (field, value) in &changes {
            match value {
                Some(value) => drop(after.insert(field.clone(), value.clone())),
                None => drop(after.remove(field)),
            }
        }
        if serde_json::to_vec(&after).map_or(usize::MAX, |bytes| bytes.len()) > MAX_PROFILE_BYTES {
            let error = format!("A profile may have {MAX_PROFILE_BYTES} bytes in all");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_PROFILE_TOO_LARGE", error));
        }
        changes.retain(|field, value| before.get(field) != value.as_ref());
        self.write(user, changes).await
    }

    async fn write(
        &self,
        user: &UserId,
        changes: BTreeMap<String, Option<Value>>,
    ) -> ApiResult<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let version = self.clock.now_ms();
        let owner = user.to_owned();
        let shown_in_rooms = changes.contains_key(DISPLAYNAME) || changes.contains_key(AVATAR_URL);
        let changes = Arc::new(changes);
        self.committer
            .run(move |tx| {
                let (owner, changes) = (owner.clone(), changes.clone());
                async move {
                    for (field, value) in changes.iter() {
                        match value {
                            Some(value) => {
                                profiles::set(tx, &owner, field, &value.to_string()).await?;
                            }
                            None => profiles::delete(tx, &owner, field).await?,
                        }
                    }
                    if let Some(name) = changes.get(DISPLAYNAME) {
                        let name = name.as_ref().map(Value::to_string);
                        let words = words_of(&owner, name.as_deref());
                        user_directory::set(tx, &owner, &words).await?;
                    }
                    if shown_in_rooms {
                        profiles::start_job(tx, &owner, version).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        if shown_in_rooms {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Forgets what is remembered of a profile that was deleted elsewhere.
    pub fn forget(&self, user: &UserId) {
        self.known.forget(&user.to_owned());
    }

    /// The content of a member event of this user: their name and avatar, and the membership.
    pub async fn member_content(
        &self,
        user: &UserId,
        membership: &str,
    ) -> ApiResult<Map<String, Value>> {
        let profile = self.get(user).await?;
        let mut content = Map::new();
        content.insert("membership".to_owned(), Value::from(membership));
        for field in [DISPLAYNAME, AVATAR_URL] {
            if let Some(value) = profile.get(field) {
                content.insert(field.to_owned(), value.clone());
            }
        }
        Ok(content)
    }
}

impl std::fmt::Debug for Profiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profiles").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_names_follow_the_grammar() {
        for good in ["displayname", "m.tz", "us.cloke.msc4175.tz", "com.example.a-b_c1"] {
            check_field(good).unwrap();
        }
        for bad in ["", "Upper", "1st", "a b", "é"] {
            assert!(check_field(bad).is_err(), "{bad}");
        }
        assert_eq!(check_field(&"x".repeat(256)).unwrap_err().errcode, "M_KEY_TOO_LARGE");
    }

    #[test]
    fn names_are_strings() {
        check_value(DISPLAYNAME, &json!("A")).unwrap();
        assert_eq!(check_value(AVATAR_URL, &json!(1)).unwrap_err().errcode, "M_BAD_JSON");
        check_value("m.other", &json!({ "any": [1] })).unwrap();
    }
}
