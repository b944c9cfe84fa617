//! What the outside may ask of a running bridge: the seam between the bot's commands, the provisioning API, a dashboard,
//! and the engine, which implements it. Everything is text here; the connector's types end before it.

pub(crate) mod authority;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use crate::handlers::GroupKind;
use crate::login::LoginProcess;
pub use crate::permissions::Level;

/// Why something asked for was not done. The texts are for the user.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    /// They may not.
    #[error("{0}")]
    Denied(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// This network, or this homeserver, can't.
    #[error("{0}")]
    Unsupported(String),
    /// They must log in first, or say with which login.
    #[error("{0}")]
    NoLogin(String),
    /// It went wrong, and may work another time.
    #[error("{0}")]
    Failed(String),
}

/// A command of the connector's own.
#[derive(Clone, Copy, Debug)]
pub struct ConnectorCommand {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Who may give it.
    pub level: Level,
}

/// What a bridge bridges.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Short name of the network.
    pub network_id: String,
    /// Its name.
    pub network_name: String,
    /// Its address.
    pub network_url: String,
    /// Its icon, an `mxc:` URI.
    pub network_icon: Option<String>,
    /// What a command begins with in bridged rooms.
    pub command_prefix: String,
    /// The bot's Matrix ID.
    pub bot: String,
}

/// A way to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowInfo {
    /// What commands and URLs call it.
    pub id: String,
    /// What people call it.
    pub title: String,
}

/// An account that is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoginInfo {
    /// Its encoded ID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How its connection stands: `connecting`, `connected`, `transient` or `bad_credentials`.
    pub state: String,
    /// Words to that.
    pub reason: Option<String>,
    /// Whether it belongs to nobody and relays for everybody.
    pub system: bool,
}

/// Somebody on the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// Their encoded ID.
    pub id: String,
    /// Their name.
    pub name: Option<String>,
    /// Their picture, an `mxc:` URI, if it is known.
    pub avatar_url: Option<String>,
    /// Their ghost.
    pub mxid: Option<String>,
    /// Addresses of theirs, as URIs.
    pub identifiers: Vec<String>,
    /// The room of the direct chat with them, if there is one.
    pub dm_room: Option<String>,
}

/// A group that somebody wants to begin. With a room, what isn't given is taken from that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupWanted {
    /// Which sort: a [`GroupKind::id`].
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its picture, an `mxc:` URI.
    pub avatar: Option<String>,
    /// Who is to be in it: encoded IDs.
    pub members: Vec<String>,
    /// The room that is to become its portal; otherwise one is made. That they may decide about it has been checked.
    pub room: Option<String>,
    /// Where it was asked for: a room, and an event in it. After a restart in the middle the outcome is told there.
    pub asked: Option<(String, String)>,
}

/// A group that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupInfo {
    /// The chat's encoded ID.
    pub id: String,
    /// Its room.
    pub room_id: String,
    /// Who could not be put into it (encoded IDs), and why.
    pub failed: Vec<(String, String)>,
}

/// A portal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortalInfo {
    /// The chat's encoded ID.
    pub remote_id: String,
    /// The login whose view it is, if it isn't everybody's.
    pub login: Option<String>,
    /// Its room.
    pub room_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The login that relays, if there is one.
    pub relay: Option<String>,
    /// Events that wait in it, both ways together.
    pub waiting: u64,
}

/// An event that couldn't be handled and waits for somebody to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Names it in commands.
    pub id: i64,
    /// Whether it came from the network (`remote`) or from Matrix (`matrix`), or was on its way there
    /// (`to_matrix`, `to_remote`).
    pub queue: String,
    /// Where.
    pub portal: Option<String>,
    /// What, in short; never its text.
    pub what: String,
    /// Why it failed.
    pub error: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// One step of a message's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Which step.
    pub name: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// More about it: an ID, an error.
    pub note: Option<String>,
}

/// A message's way through the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Names the way.
    pub id: String,
    /// Where it is now: `waiting`, `sent`, `delivered`, `failed`, `maybe_sent` and the like.
    pub state: String,
    /// The Matrix event, if there is one.
    pub event_id: Option<String>,
    /// The network's message, if there is one.
    pub remote_id: Option<String>,
    /// Its steps so far.
    pub hops: Vec<Hop>,
}

/// A running bridge, as commands and APIs see it. `user` is always the Matrix ID of who asks; that they may (by their
/// [`Level`]) has been checked by the caller, that a login or portal is theirs is checked here.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// What is bridged.
    fn about(&self) -> About;
    /// What somebody may do.
    fn level(&self, user: &str) -> Level;

    /// The ways to log in.
    fn login_flows(&self) -> Vec<FlowInfo>;
    /// Starts a login; `relogin` names one of theirs to be renewed.
    async fn start_login(
        &self,
        user: &str,
        flow: &str,
        relogin: Option<&str>,
    ) -> Result<LoginProcess, ControlError>;
    /// Their logins.
    async fn logins(&self, user: &str) -> Result<Vec<LoginInfo>, ControlError>;
    /// Logs one of theirs out, also on the network's side.
    async fn logout(&self, user: &str, login: &str) -> Result<(), ControlError>;
    /// Uses this access token for their double puppet, or none any more.
    async fn set_puppet(&self, user: &str, access_token: Option<&str>) -> Result<(), ControlError>;

    /// Whom an identifier as people write it stands for. `login`: by which of theirs.
    async fn resolve(
        &self,
        user: &str,
        login: Option<&str>,
        query: &str,
    ) -> Result<Option<Contact>, ControlError>;
    /// Who matches.
    async fn search(
        &self,
        user: &str,
        login: Option<&str>,
        query: &str,
    ) -> Result<Vec<Contact>, ControlError>;
    /// Opens the direct chat with somebody (an encoded ID), invites the user, gives the room.
    async fn start_chat(
        &self,
        user: &str,
        login: Option<&str>,
        remote_user: &str,
    ) -> Result<String, ControlError>;
    /// Opens a portal for a chat as people name it, invites the user, gives the room.
    async fn open_portal(
        &self,
        user: &str,
        login: Option<&str>,
        chat: &str,
    ) -> Result<String, ControlError>;

    /// The groups that can be begun on the network.
    fn group_kinds(&self) -> Vec<GroupKind> {
        Vec::new()
    }
    /// Begins one, and opens its room for the user.
    async fn create_group(
        &self,
        _user: &str,
        _login: Option<&str>,
        _wanted: GroupWanted,
    ) -> Result<GroupInfo, ControlError> {
        Err(ControlError::Unsupported("This network has no groups to begin from here.".into()))
    }

    /// The portal of a room.
    async fn portal(&self, room_id: &str) -> Result<Option<PortalInfo>, ControlError>;
    /// Bridges an existing room to a chat as people name it. That they may decide about the room has been checked.
    async fn bridge(
        &self,
        user: &str,
        room_id: &str,
        login: Option<&str>,
        chat: &str,
    ) -> Result<PortalInfo, ControlError>;
    /// Ends bridging a room and keeps it; the ghosts leave.
    async fn unbridge(&self, user: &str, room_id: &str) -> Result<(), ControlError>;
    /// Ends bridging a room and removes it, with everybody in it.
    async fn delete_portal(&self, user: &str, room_id: &str) -> Result<(), ControlError>;
    /// Lets a login of theirs, or a system login, relay for those in the room who have none; `None`: nobody.
    async fn set_relay(
        &self,
        user: &str,
        room_id: &str,
        login: Option<&str>,
    ) -> Result<(), ControlError>;
    /// Shows the threads of a portal's chat as Matrix threads or as rooms, from now on.
    async fn set_threads(
        &self,
        _user: &str,
        _room_id: &str,
        _mode: crate::event::ThreadMode,
    ) -> Result<(), ControlError> {
        Err(ControlError::Unsupported("This bridge has no threads.".into()))
    }
    /// Asks the network again for everything about a portal, and for missed messages.
    async fn sync(&self, user: &str, room_id: &str) -> Result<(), ControlError>;

    /// The newest dead letters.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, ControlError>;
    /// Tries one again; false if there is no such.
    async fn replay_dead_letter(&self, id: i64) -> Result<bool, ControlError>;
    /// Gives one up; false if there is no such.
    async fn drop_dead_letter(&self, id: i64) -> Result<bool, ControlError>;
    /// The way of a message, by its Matrix event ID, its ID on the network, or its trace.
    async fn trace(&self, query: &str) -> Result<Option<Trace>, ControlError>;

    /// The connector's own commands.
    fn connector_commands(&self) -> Vec<ConnectorCommand>;
    /// Runs one; the answer is Markdown.
    async fn run_command(
        &self,
        user: &str,
        room_id: &str,
        event_id: &str,
        name: &str,
        args: &[String],
    ) -> Result<String, ControlError>;
}
