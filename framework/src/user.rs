//! Double puppets: people's own Matrix accounts, through which what they do on the network itself appears as theirs.

use landbridge_registration::Token;
use quick_cache::sync::Cache;

use crate::{
    engine::{Engine, Failure},
    matrix::Intent,
    store::{Batch, UserRow},
};

/// How long a failed attempt is remembered, in milliseconds.
const TRY_AGAIN: i64 = 10 * 60_000;

/// Who can be puppeted: checked once.
pub(crate) struct Puppets {
    /// Until when it is believed, and whether it works.
    checked: Cache<String, (i64, bool)>,
}
impl Default for Puppets {
    fn default() -> Self {
        Self { checked: Cache::new(1000) }
    }
}

impl Engine {
    /// A person's own account, where the bridge may act for it: by an access token that they gave, or by masquerading
    /// where the homeserver allows that.
    pub(crate) async fn puppet(&self, mxid: &str) -> Result<Option<Intent>, Failure> {
        let user = self.store.user(mxid).await?;
        let token = user.and_then(|user| user.puppet_token).map(Token::new);
        if token.is_none() && !(self.config.double_puppet.automatic && self.matrix.is_local(mxid)) {
            return Ok(None);
        }
        let intent = self.matrix.puppet(mxid, token);
        let now = self.now();
        if let Some((until, works)) = self.puppets.checked.get(mxid)
            && until > now
        {
            return Ok(works.then_some(intent));
        }
        match intent.whoami().await {
            Ok(whoami) => {
                let works = whoami.user_id == mxid;
                let until = if works { i64::MAX } else { now + TRY_AGAIN };
                self.puppets.checked.insert(mxid.to_owned(), (until, works));
                Ok(works.then_some(intent))
            }
            // What is said meanwhile must wait: it would appear under another name otherwise.
            Err(error) if error.is_temporary() => Err(error.into()),
            Err(error) => {
                tracing::info!(user = mxid, %error, "no double puppet");
                self.puppets.checked.insert(mxid.to_owned(), (now + TRY_AGAIN, false));
                Ok(None)
            }
        }
    }

    /// The account could not act: the next one to need it checks again.
    pub(crate) fn doubt_puppet(&self, mxid: &str) {
        self.puppets.checked.remove(mxid);
    }

    /// Keeps an access token that a person gave for double puppeting; `None` forgets it. Says whether it works.
    pub(crate) async fn set_puppet_token(
        &self,
        mxid: &str,
        token: Option<String>,
    ) -> Result<bool, Failure> {
        if let Some(token) = &token {
            let whoami = self.matrix.puppet(mxid, Some(Token::new(token.clone()))).whoami().await?;
            if whoami.user_id != mxid {
                return Ok(false);
            }
        }
        let mut user = self.user_row(mxid).await?;
        user.puppet_token = token;
        let mut batch = Batch::new();
        batch.save_user(&user);
        self.store.commit(batch).await?;
        self.puppets.checked.remove(mxid);
        Ok(true)
    }

    /// What is stored of a Matrix user.
    pub(crate) async fn user_row(&self, mxid: &str) -> Result<UserRow, Failure> {
        let known = self.store.user(mxid).await?;
        Ok(known.unwrap_or_else(|| UserRow { mxid: mxid.to_owned(), ..UserRow::default() }))
    }
}
