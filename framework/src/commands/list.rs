//! The table of commands, and the help made from it.

use std::fmt::Write as _;

use futures::future::BoxFuture;

use super::{Context, Outcome, groups, people, rooms, ways};
use crate::control::Control;
use crate::permissions::Level;

/// Where a command works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Anywhere.
    Nothing,
    /// In a portal.
    Portal,
    /// In a room that is no portal.
    NoPortal,
}

type Run = for<'a> fn(Context<'a>) -> BoxFuture<'a, Outcome>;

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
    pub(super) level: Level,
    pub(super) need: Need,
    pub(super) min_args: usize,
    /// Whether it decides about the room, which then needs power in it.
    pub(super) moderates: bool,
    pub(super) run: Run,
}

const fn command(name: &'static str, usage: &'static str, help: &'static str, run: Run) -> Command {
    Command {
        name,
        aliases: &[],
        usage,
        help,
        level: Level::User,
        need: Need::Nothing,
        min_args: 0,
        moderates: false,
        run,
    }
}

impl Command {
    const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
    const fn need(mut self, need: Need) -> Self {
        self.need = need;
        self
    }
    const fn args(mut self, at_least: usize) -> Self {
        self.min_args = at_least;
        self
    }
    const fn moderates(mut self) -> Self {
        self.moderates = true;
        self
    }
    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// All of them, in the order of the help.
static COMMANDS: &[Command] = &[
    command("login", "[FLOW]", "Log in to the network.", |c| Box::pin(people::login(c))),
    command("relogin", "LOGIN [FLOW]", "Renew a login.", |c| Box::pin(people::relogin(c))).args(1),
    command("cancel", "", "End the login that is going on.", |c| Box::pin(people::cancel(c)))
        .level(Level::Relay),
    command("logout", "LOGIN", "Log out.", |c| Box::pin(people::logout(c))),
    command("list-logins", "", "Show your logins and how they are.", |c| Box::pin(people::list(c)))
        .alias(&["logins"]),
    command("ping", "", "Show who you are and whether everything works.", |c| {
        Box::pin(people::ping(c))
    })
    .level(Level::Relay),
    command(
        "login-matrix",
        "ACCESS-TOKEN",
        "Let the bridge show as you what you do on the network itself.",
        |c| Box::pin(people::login_matrix(c)),
    )
    .args(1),
    command("logout-matrix", "", "Forget your access token.", |c| {
        Box::pin(people::logout_matrix(c))
    }),
    command("resolve", "WHO", "Find out whom a name, number or address stands for.", |c| {
        Box::pin(people::resolve(c))
    })
    .args(1)
    .alias(&["resolve-identifier"]),
    command("search", "TEXT", "Search for people.", |c| Box::pin(people::search(c))).args(1),
    command("start-chat", "WHO", "Open the direct chat with somebody.", |c| {
        Box::pin(people::start_chat(c))
    })
    .args(1)
    .alias(&["pm"]),
    command("create", "CHAT", "Open a room for a chat of the network.", |c| {
        Box::pin(rooms::create(c))
    })
    .args(1)
    .alias(&["join", "open"]),
    command("bridge", "CHAT", "Bridge this room to a chat of the network.", |c| {
        Box::pin(rooms::bridge(c))
    })
    .args(1)
    .need(Need::NoPortal)
    .moderates()
    .alias(&["plumb"]),
    command(
        "create-group",
        "[KIND] [WHO ...]",
        "Begin a group on the network for this room, with its name, topic, picture and members, and those you name.",
        |c| Box::pin(groups::create(c)),
    )
    .need(Need::NoPortal)
    .moderates(),
    command("unbridge", "", "End bridging this room, and keep it.", |c| {
        Box::pin(rooms::unbridge(c))
    })
    .need(Need::Portal)
    .moderates(),
    command("delete-portal", "", "End bridging this room, and remove it.", |c| {
        Box::pin(rooms::delete(c))
    })
    .need(Need::Portal)
    .moderates(),
    command("set-relay", "[LOGIN]", "Relay for those in this room who have no login.", |c| {
        Box::pin(rooms::set_relay(c))
    })
    .need(Need::Portal)
    .moderates(),
    command("unset-relay", "", "Relay for nobody in this room.", |c| {
        Box::pin(rooms::unset_relay(c))
    })
    .need(Need::Portal)
    .moderates(),
    command(
        "threads",
        "threads | rooms",
        "Show new threads of this chat as threads in this room, or as rooms of their own.",
        |c| Box::pin(rooms::threads(c)),
    )
    .need(Need::Portal)
    .args(1)
    .moderates(),
    command("sync", "", "Ask the network again for everything about this room.", |c| {
        Box::pin(rooms::sync(c))
    })
    .need(Need::Portal)
    .alias(&["sync-portal"]),
    command("id", "", "Show what this room is on the network.", |c| Box::pin(rooms::id(c)))
        .level(Level::Relay)
        .need(Need::Portal),
    command(
        "trace",
        "EVENT",
        "Where is my message? By its event ID, its link, or its ID on the network.",
        |c| Box::pin(ways::trace(c)),
    )
    .level(Level::Relay)
    .args(1)
    .alias(&["where"]),
    command(
        "dead-letters",
        "[list | replay ID | drop ID]",
        "See, repeat or give up what could not be handled.",
        |c| Box::pin(ways::dead_letters(c)),
    )
    .level(Level::Admin)
    .alias(&["dead"]),
];

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name || c.aliases.contains(&name))
}

/// What somebody of this level can do.
pub(super) fn help(control: &dyn Control, level: Level) -> String {
    let about = control.about();
    let prefix = &about.command_prefix;
    let mut out = format!(
        "I bridge **{}**. In this room of ours just write a command; elsewhere begin with `{prefix}`.\n",
        about.network_name
    );
    for command in COMMANDS.iter().filter(|c| c.level <= level) {
        let space = if command.usage.is_empty() { "" } else { " " };
        let _ = writeln!(out, "- `{}{space}{}`: {}", command.name, command.usage, command.help);
    }
    for command in control.connector_commands().iter().filter(|c| c.level <= level) {
        let _ = writeln!(out, "- `{}`: {}", command.name, command.help);
    }
    out.trim_end().to_owned()
}
