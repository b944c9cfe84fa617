//! One account's connection. The app's carries the events of all.

use std::{
    collections::HashSet,
    sync::{Arc, RwLock},
};

use landbridge_framework::prelude::*;

use super::Slack;
use crate::{
    client::{ApiError, Session, lookup::Lookup, run_socket},
    hub::{Hub, Listener, Sight, Undelivered},
    ids::{Account, Chat, User},
    json::{flag, text},
};

/// Conversations of one person that are followed at most.
const MAX_CONVERSATIONS: usize = 10_000;

/// One account's connection.
pub struct Connection {
    pub(crate) hub: Arc<Hub>,
    pub(crate) account: Account,
    person: Option<Person>,
}

struct Person {
    session: Session,
    lookup: Arc<Lookup>,
}

impl Connection {
    pub(super) fn app(hub: Arc<Hub>) -> Self {
        Self { hub, account: Account::App, person: None }
    }

    pub(super) fn person(hub: Arc<Hub>, user: User, session: Session, lookup: Arc<Lookup>) -> Self {
        Self { hub, account: Account::Person(user), person: Some(Person { session, lookup }) }
    }

    /// The Web API as this account may call it in a workspace, and what is known there.
    pub(crate) fn eyes(&self, team: &str) -> Result<(Session, Arc<Lookup>), NetError> {
        match &self.person {
            Some(person) if self.account.person().is_some_and(|user| user.team == team) => {
                Ok((person.session.clone(), person.lookup.clone()))
            }
            Some(_) => Err(NetError::permanent(
                "you are logged in to another workspace: log in to this one as well",
            )),
            None => self
                .hub
                .workspace(team)
                .map(|workspace| (workspace.session.clone(), workspace.lookup.clone()))
                .ok_or_else(|| NetError::temporary("the app is not connected to that workspace")),
        }
    }

    /// The same, for what is to be done.
    pub(crate) fn session(&self, team: &str) -> Result<Session, SendError> {
        match self.eyes(team) {
            Ok((session, _)) => Ok(session),
            Err(NetError::Permanent(why)) => Err(SendError::refused(why)),
            Err(error) => Err(SendError::retry(error)),
        }
    }

    /// Its place among those that events are for, while it is connected.
    pub(crate) fn listener(&self) -> Option<Arc<Listener>> {
        self.hub.listener(&self.account)
    }

    async fn run_app(&self, inbox: Inbox<Slack>, stop: CancellationToken) -> Exit {
        let sight = Sight::App { bridged: RwLock::default() };
        let listener = self.hub.attach(Account::App, inbox.clone(), sight);
        let guard = stop.child_token();
        let keeping_up = tokio::spawn(listener.clone().keep_up(self.hub.clone(), guard.clone()));
        let exit = match self.begin(&listener).await {
            Ok(()) => self.follow(&inbox, &stop).await,
            Err(Undelivered::Inbox(Closed::Stopping)) => Exit::Stopped,
            Err(error) => Exit::Lost(NetError::temporary(error)),
        };
        guard.cancel();
        self.hub.detach(&listener);
        if let Err(error) = keeping_up.await
            && error.is_panic()
        {
            tracing::error!("catching up panicked");
        }
        exit
    }

    async fn begin(&self, listener: &Arc<Listener>) -> Result<(), Undelivered> {
        self.hub.open_kept_installs().await?;
        for key in listener.inbox.portals().await? {
            if !key.id.is_team() {
                listener.begin(&self.hub, &key.id).await?;
            }
        }
        Ok(())
    }

    async fn follow(&self, inbox: &Inbox<Slack>, stop: &CancellationToken) -> Exit {
        let Some(token) = &self.hub.config.app_token else {
            // Slack calls the bridge. What it could not deliver while the bridge was away is fetched.
            self.hub.online(true);
            self.hub.gap();
            inbox.state(LoginState::Connected);
            stop.cancelled().await;
            return Exit::Stopped;
        };
        let session = self.hub.api.session(token, "app");
        let mut online = self.hub.watch_online();
        online.mark_unchanged();
        let told = async {
            while online.changed().await.is_ok() {
                if *online.borrow_and_update() {
                    inbox.state(LoginState::Connected);
                }
            }
        };
        tokio::select! {
            exit = run_socket(&session, &self.hub, stop) => exit,
            () = told => Exit::Lost(NetError::temporary("the bridge is stopping")),
        }
    }

    async fn run_person(
        &self,
        user: &User,
        person: &Person,
        inbox: Inbox<Slack>,
        stop: CancellationToken,
    ) -> Exit {
        let seen = match conversations(&person.session).await {
            Ok(seen) => seen,
            Err(error) if error.is_logged_out() => return Exit::BadCredentials(error.to_string()),
            Err(error) => return Exit::Lost(error.looking()),
        };
        let revoked = CancellationToken::new();
        let sight = Sight::Person {
            session: person.session.clone(),
            lookup: person.lookup.clone(),
            seen: RwLock::new(seen.clone()),
            revoked: revoked.clone(),
        };
        let listener = self.hub.attach(self.account.clone(), inbox.clone(), sight);
        let guard = stop.child_token();
        let keeping_up = tokio::spawn(listener.clone().keep_up(self.hub.clone(), guard.clone()));
        let begun = async {
            for channel in &seen {
                listener.begin(&self.hub, &Chat::new(&user.team, channel)).await?;
            }
            Ok::<(), Undelivered>(())
        };
        let exit = tokio::select! {
            () = stop.cancelled() => Exit::Stopped,
            () = revoked.cancelled() => {
                Exit::BadCredentials("you took back what you had allowed the bridge".into())
            }
            exit = async {
                match begun.await {
                    Ok(()) => inbox.state(LoginState::Connected),
                    Err(Undelivered::Inbox(Closed::Stopping)) => return Exit::Stopped,
                    Err(error) => return Exit::Lost(NetError::temporary(error)),
                }
                // Events come by the app's connection.
                std::future::pending().await
            } => exit,
        };
        guard.cancel();
        self.hub.detach(&listener);
        if let Err(error) = keeping_up.await
            && error.is_panic()
        {
            tracing::error!("catching up panicked");
        }
        exit
    }
}

/// The conversations that somebody is in.
async fn conversations(session: &Session) -> Result<HashSet<String>, ApiError> {
    let params = [
        ("types", "public_channel,private_channel,mpim,im"),
        ("exclude_archived", "true"),
        ("limit", "200"),
    ];
    let all = session.pages("users.conversations", &params, "channels", MAX_CONVERSATIONS).await?;
    let open = all.iter().filter(|channel| !flag(channel, "is_user_deleted"));
    Ok(open.filter_map(|channel| text(channel, "id").map(ToOwned::to_owned)).collect())
}

impl Client for Connection {
    type Net = Slack;

    async fn run(&self, inbox: Inbox<Slack>, stop: CancellationToken) -> Exit {
        match (&self.account, &self.person) {
            (Account::Person(user), Some(person)) => {
                self.run_person(user, person, inbox, stop).await
            }
            _ => self.run_app(inbox, stop).await,
        }
    }

    async fn chat(&self, key: &PortalKey<Slack>) -> Result<ChatInfo<Slack>, NetError> {
        super::chat::describe(self, key).await
    }

    async fn user(&self, id: &User) -> Result<UserInfo, NetError> {
        let (_, lookup) = self.eyes(&id.team)?;
        lookup.user_info(id).await.map_err(ApiError::looking)
    }

    async fn logout(&self) {
        let Some(person) = &self.person else { return };
        if let Err(error) = person.session.post("auth.revoke", &serde_json::json!({})).await {
            tracing::info!(%error, "Slack could not be told that somebody logged out");
        }
    }
}
