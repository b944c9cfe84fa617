//! Who is in the channels: joins, parts, quits, kicks, bans, nick changes, NAMES, netsplits.
//!
//! A quit is held back for a while: a broken connection or a netsplit brings most people back within seconds, and a room that shows
//! hundreds leaving and joining again helps nobody. What is held is lost by a crash; the NAMES list at the next start puts that right.

mod channel;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

pub use channel::{Channel, Person};

use crate::client::{Incoming, Snapshot};
use crate::config::{MembersConfig, ShowMembers};
use crate::message::Source;
use crate::modes;
use crate::raw::{Change, Standing, What};

/// The most channels and people we keep: a server that names more isn't believed.
const MAX_PEOPLE: usize = 200_000;

/// What the tracker needs to know of the connection.
pub struct Context<'a> {
    /// The listening connection.
    pub me: &'a Snapshot,
    /// Whether somebody is one of our own puppets.
    pub ours: &'a (dyn Fn(&Source) -> bool + 'a),
    /// The time.
    pub now: Instant,
}

/// Follows the channels of the listening connection.
#[derive(Debug)]
pub struct Tracker {
    config: MembersConfig,
    channels: HashMap<String, Channel>,
    /// When held quits are due, and whose: so that nobody walks over all people to find out.
    holds: BTreeSet<(Instant, String)>,
}

/// Something for the inbox, with what distinguishes it among all that one line says.
pub type Told = (String, What);

impl Tracker {
    /// Knows nothing yet.
    pub fn new(config: MembersConfig) -> Self {
        Self { config, channels: HashMap::new(), holds: BTreeSet::new() }
    }

    /// A channel's state by its folded name.
    pub fn channel(&self, folded: &str) -> Option<&Channel> {
        self.channels.get(folded)
    }

    /// A nick as its owner writes it, by its folded form.
    pub fn spelling(&self, folded: &str) -> Option<&str> {
        self.channels
            .values()
            .find_map(|channel| channel.people.get(folded))
            .map(|person| person.nick.as_str())
    }

    /// People whose folded nick begins so: folded, and as they write it.
    pub fn beginning_with(&self, folded: &str, limit: usize) -> Vec<(String, String)> {
        let people = self.channels.values().flat_map(|channel| &channel.people);
        let fitting: std::collections::BTreeMap<_, _> =
            people.filter(|(nick, _)| nick.starts_with(folded)).collect();
        fitting
            .into_iter()
            .take(limit)
            .map(|(folded, person)| (folded.clone(), person.nick.clone()))
            .collect()
    }

    /// Whether the people of a channel are shown, or only those who speak.
    pub fn shows_all(&self, channel: &Channel) -> bool {
        self.config.show == ShowMembers::All && channel.people.len() <= self.config.max
    }

    /// The connection is new: nothing of what was known holds, and quits that were held are settled by NAMES.
    pub fn reset(&mut self) {
        self.channels.clear();
        self.holds.clear();
    }

    /// Takes a line.
    pub fn on(&mut self, line: &Incoming, context: &Context<'_>) -> Vec<Told> {
        let message = &line.message;
        let source = message.source.clone().unwrap_or_default();
        let mine = context.me.is_me(&source.name);
        let ours = mine || (context.ours)(&source);
        let fold = |name: &str| context.me.isupport.casemapping.fold(name);
        let channel = fold(message.param(0));
        match message.command.as_str() {
            "JOIN" if mine => {
                self.channels.insert(channel, Channel::new(message.param(0)));
                Vec::new()
            }
            "JOIN" if !ours => self.joined(&channel, &fold(&source.name), &source.name),
            "PART" if mine => {
                self.channels.remove(&channel);
                Vec::new()
            }
            "PART" if !ours => self.left(
                &channel,
                &fold(&source.name),
                None,
                some(message.params.get(1)),
                Standing::Out,
            ),
            "KICK" => self.kicked(line, &channel, &source, context),
            "QUIT" if !ours => {
                self.quit(line, &fold(&source.name), context.now);
                Vec::new()
            }
            "NICK" if !ours => self.renamed(&source.name, message.param(0), &fold),
            "TOPIC" => {
                if let Some(known) = self.channels.get_mut(&channel) {
                    known.topic = Some(message.param(1).to_owned());
                }
                let told = What::Topic {
                    channel: channel.clone(),
                    by: source.name,
                    text: message.param(1).to_owned(),
                };
                if ours { Vec::new() } else { vec![(channel, told)] }
            }
            "332" => {
                if let Some(known) = self.channels.get_mut(&fold(message.param(1))) {
                    known.topic = Some(message.param(2).to_owned());
                }
                Vec::new()
            }
            "353" => {
                self.names(&fold(message.param(2)), message.last(), context);
                Vec::new()
            }
            "366" => self.names_end(&fold(message.param(1))),
            "324" => {
                let changes =
                    modes::parse(message.params.get(2..).unwrap_or_default(), &context.me.isupport);
                if let Some(known) = self.channels.get_mut(&fold(message.param(1))) {
                    known.set_flags(modes::flags(&changes));
                }
                Vec::new()
            }
            "MODE" if context.me.isupport.is_channel(message.param(0)) => {
                self.modes(line, &channel, &source, ours, context)
            }
            "AWAY" if !ours => {
                let nick = fold(&source.name);
                let somewhere = self
                    .channels
                    .iter()
                    .find(|(_, c)| c.people.contains_key(&nick))
                    .map(|(name, _)| name.clone());
                somewhere
                    .map(|channel| {
                        (
                            String::new(),
                            What::Away {
                                channel,
                                nick: source.name,
                                text: some(message.params.first()),
                            },
                        )
                    })
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn joined(&mut self, channel: &str, folded: &str, nick: &str) -> Vec<Told> {
        let people: usize = self.channels.values().map(|c| c.people.len()).sum();
        let Some(known) = self.channels.get_mut(channel) else { return Vec::new() };
        if let Some(person) = known.people.get_mut(folded) {
            // Back from a netsplit or a broken connection before anybody was told they had left.
            person.gone = None;
            person.ranks.clear();
            return Vec::new();
        }
        if people < MAX_PEOPLE {
            known.people.insert(folded.to_owned(), Person::new(nick));
        }
        let known = &self.channels[channel];
        if !self.shows_all(known) {
            return Vec::new();
        }
        let changes = vec![Change { nick: nick.to_owned(), to: Standing::In, reason: None }];
        vec![(channel.to_owned(), What::Members { channel: channel.to_owned(), by: None, changes })]
    }

    fn left(
        &mut self,
        channel: &str,
        folded: &str,
        by: Option<String>,
        reason: Option<String>,
        to: Standing,
    ) -> Vec<Told> {
        let Some(person) =
            self.channels.get_mut(channel).and_then(|known| known.people.remove(folded))
        else {
            return Vec::new();
        };
        let changes = vec![Change { nick: person.nick, to, reason }];
        vec![(channel.to_owned(), What::Members { channel: channel.to_owned(), by, changes })]
    }

    fn kicked(
        &mut self,
        line: &Incoming,
        channel: &str,
        by: &Source,
        context: &Context<'_>,
    ) -> Vec<Told> {
        let message = &line.message;
        let target = message.param(1);
        let reason = some(message.params.get(2));
        if context.me.is_me(target) {
            self.channels.remove(channel);
            let text = format!(
                "The bridge was kicked from {} by {}: {}",
                message.param(0),
                by.name,
                reason.unwrap_or_default()
            );
            return vec![(channel.to_owned(), What::Notice { channel: channel.to_owned(), text })];
        }
        let target_source = Source { name: target.to_owned(), user: None, host: None };
        if (context.ours)(&target_source) {
            // The Matrix user stays in the Matrix room, whose moderators decide about it; the room is told.
            let text = format!(
                "{target} was kicked from {} by {}: {}",
                message.param(0),
                by.name,
                reason.unwrap_or_default()
            );
            return vec![(channel.to_owned(), What::Notice { channel: channel.to_owned(), text })];
        }
        let by_ours = context.me.is_me(&by.name) || (context.ours)(by);
        let folded = context.me.isupport.casemapping.fold(target);
        // A kick that came from Matrix is known there.
        let told = self.left(channel, &folded, Some(by.name.clone()), reason, Standing::Out);
        if by_ours { Vec::new() } else { told }
    }

    fn quit(&mut self, line: &Incoming, folded: &str, now: Instant) {
        let split = line.batch.as_ref().is_some_and(|batch| batch.kind == "netsplit")
            || is_netsplit(line.message.last());
        let hold = Duration::from_secs(if split {
            self.config.netsplit_hold
        } else {
            self.config.quit_debounce
        });
        let reason = if split { "netsplit".to_owned() } else { line.message.last().to_owned() };
        for person in
            self.channels.values_mut().filter_map(|channel| channel.people.get_mut(folded))
        {
            person.gone = Some((now + hold, reason.clone()));
        }
        self.holds.insert((now + hold, folded.to_owned()));
    }

    /// When the next held quit is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.holds.first().map(|(at, _)| *at)
    }

    /// The quits whose time is over.
    pub fn due(&mut self, now: Instant) -> Vec<Told> {
        let mut told: Vec<Told> = Vec::new();
        while self.holds.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, nick)) = self.holds.pop_first() else { break };
            for (name, channel) in &mut self.channels {
                // Who is back since isn't gone any more; who quit again is held anew.
                let over = |person: &Person| person.gone.as_ref().is_some_and(|(at, _)| *at <= now);
                if !channel.people.get(&nick).is_some_and(over) {
                    continue;
                }
                let person = channel.people.remove(&nick).map(|person| Change {
                    reason: person.gone.map(|(_, reason)| reason),
                    nick: person.nick,
                    to: Standing::Out,
                });
                let told_already = told.iter_mut().find_map(|(place, what)| match what {
                    What::Members { changes, .. } if place == name => Some(changes),
                    _ => None,
                });
                match told_already {
                    Some(changes) => changes.extend(person),
                    None => told.push((
                        name.clone(),
                        What::Members {
                            channel: name.clone(),
                            by: None,
                            changes: person.into_iter().collect(),
                        },
                    )),
                }
            }
        }
        told
    }

    fn renamed(&mut self, from: &str, to: &str, fold: &dyn Fn(&str) -> String) -> Vec<Told> {
        let (old, new) = (fold(from), fold(to));
        let mut channels = Vec::new();
        let mut shown = true;
        for (name, channel) in &mut self.channels {
            let Some(mut person) = channel.people.remove(&old) else { continue };
            to.clone_into(&mut person.nick);
            person.gone = None;
            channel.people.insert(new.clone(), person);
            channels.push(name.clone());
        }
        for name in &channels {
            shown &= self.channels.get(name).is_some_and(|channel| self.shows_all(channel));
        }
        if channels.is_empty() {
            return Vec::new();
        }
        vec![(
            "nick".into(),
            What::Renamed { channels, from: from.to_owned(), to: to.to_owned(), shown },
        )]
    }

    fn names(&mut self, channel: &str, list: &str, context: &Context<'_>) {
        let people: usize = self.channels.values().map(|c| c.people.len() + c.listed.len()).sum();
        let Some(known) = self.channels.get_mut(channel) else { return };
        for entry in list
            .split(' ')
            .filter(|entry| !entry.is_empty())
            .take(MAX_PEOPLE.saturating_sub(people))
        {
            let (ranks, name) = context.me.isupport.split_prefixes(entry);
            // With userhost-in-names an entry is the whole address.
            let source = Source::parse(name);
            if context.me.is_me(&source.name) {
                known.my_ranks = ranks;
            } else if !(context.ours)(&source) {
                let folded = context.me.isupport.casemapping.fold(&source.name);
                known.listed.insert(folded, Person { ranks, ..Person::new(&source.name) });
            }
        }
    }

    fn names_end(&mut self, channel: &str) -> Vec<Told> {
        let Some(known) = self.channels.get_mut(channel) else { return Vec::new() };
        if known.synced {
            known.listed.clear();
            return Vec::new();
        }
        known.people = std::mem::take(&mut known.listed);
        known.synced = true;
        vec![("names".into(), What::Resync { channel: channel.to_owned() })]
    }

    fn modes(
        &mut self,
        line: &Incoming,
        channel: &str,
        by: &Source,
        ours: bool,
        context: &Context<'_>,
    ) -> Vec<Told> {
        let isupport = &context.me.isupport;
        let changes = modes::parse(line.message.params.get(1..).unwrap_or_default(), isupport);
        let Some(known) = self.channels.get_mut(channel) else { return Vec::new() };
        let flags = modes::flags(&changes);
        known.set_flags(flags);
        let mut levels: Vec<(String, i64)> = Vec::new();
        let mut banned = Vec::new();
        for change in &changes {
            match change.kind {
                crate::isupport::ModeKind::Rank if context.me.is_me(&change.param) => {
                    change_rank(&mut known.my_ranks, change.set, change.mode);
                }
                crate::isupport::ModeKind::Rank => {
                    if let Some(person) =
                        known.people.get_mut(&isupport.casemapping.fold(&change.param))
                    {
                        change_rank(&mut person.ranks, change.set, change.mode);
                        levels.retain(|(nick, _)| *nick != person.nick);
                        levels.push((person.nick.clone(), modes::level(&person.ranks)));
                    }
                }
                crate::isupport::ModeKind::List if change.mode == 'b' => {
                    let to = if change.set { Standing::Banned } else { Standing::Out };
                    banned.extend(modes::banned_nick(&change.param).map(|nick| Change {
                        nick: nick.to_owned(),
                        to,
                        reason: None,
                    }));
                }
                _ => {}
            }
        }
        if ours {
            return Vec::new();
        }
        let mut told = Vec::new();
        if !flags.is_empty() || !levels.is_empty() {
            told.push((
                "modes".to_owned(),
                What::Modes { channel: channel.to_owned(), by: by.name.clone(), flags, levels },
            ));
        }
        if !banned.is_empty() {
            told.push((
                "bans".to_owned(),
                What::Members {
                    channel: channel.to_owned(),
                    by: Some(by.name.clone()),
                    changes: banned,
                },
            ));
        }
        told
    }
}

fn change_rank(ranks: &mut String, set: bool, mode: char) {
    ranks.retain(|r| r != mode);
    if set {
        ranks.push(mode);
    }
}

fn some(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// Whether a quit's reason is that of a netsplit: two server names and nothing else. Servers don't let people write it.
fn is_netsplit(reason: &str) -> bool {
    let mut words = reason.split(' ');
    let server = |word: Option<&str>| {
        word.is_some_and(|w| {
            let labels: Vec<&str> = w.split('.').collect();
            labels.len() > 1
                && labels.iter().all(|l| {
                    !l.is_empty()
                        && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '*')
                })
        })
    };
    server(words.next()) && server(words.next()) && words.next().is_none()
}
