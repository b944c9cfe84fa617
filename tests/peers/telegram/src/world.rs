//! What the server knows: people, chats, what was said, who is signed in and connected.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use grammers_tl_types as tl;
use tokio::sync::{Notify, mpsc};

use crate::build::{self, DATE};

mod albums;
mod forums;
mod groups;
mod polls;
mod updates;

pub(crate) use groups::Group;
pub use polls::Asked;
use polls::Vote;

/// The code that everybody is sent.
pub const CODE: &str = "12345";

/// See the module.
#[derive(Default)]
pub struct World {
    pub(crate) people: BTreeMap<i64, Person>,
    pub(crate) channels: BTreeMap<i64, Channel>,
    pub(crate) groups: BTreeMap<i64, Group>,
    /// Direct messages and those of basic groups; each who has one has a number of their own for it.
    pub(crate) direct: Vec<Option<Message>>,
    pub(crate) signed_in: HashMap<[u8; 8], i64>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) taken: HashSet<(i64, i64)>,
    pub(crate) parts: HashMap<i64, BTreeMap<i32, Vec<u8>>>,
    pub(crate) files: HashMap<i64, Vec<u8>>,
    /// What was made of files ahead of messages with them.
    pub(crate) made: HashMap<i64, tl::enums::MessageMedia>,
    /// Who has given the right code and must give a password yet, by key.
    pub(crate) half_way: HashMap<[u8; 8], i64>,
    pub(crate) qr: HashMap<Vec<u8>, ([u8; 8], Option<i64>)>,
    /// Who lets nobody put them into groups.
    pub shy: BTreeSet<i64>,
    /// Who exports.
    pub(crate) takeouts: BTreeSet<i64>,
    pub(crate) asked: HashMap<&'static str, u32>,
    /// What goes wrong.
    pub faults: Faults,
    counts: Counts,
}

/// What goes wrong: each every so many times, never if unset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A request to send is answered with `FLOOD_WAIT_1` and not done.
    pub flood: Option<u32>,
    /// A request is done, but its answer never comes, and the connection breaks.
    pub lose_answer: Option<u32>,
    /// An update is not pushed: only a difference has it.
    pub drop_update: Option<u32>,
    /// An update is pushed twice.
    pub repeat_update: Option<u32>,
    /// Differences hold at most so many updates; for more they are too long.
    pub difference: Option<usize>,
}

#[derive(Default)]
struct Counts {
    sends: u32,
    answers: u32,
    updates: u32,
    polls: i64,
    albums: i64,
}

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Between two people.
    Direct(i64, i64),
    /// In a supergroup.
    Channel(i64),
    /// In a basic group.
    Group(i64),
}

/// What was said, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub from: i64,
    /// What.
    pub text: String,
    /// Whether it was edited.
    pub edited: bool,
    /// The reactions: who, and with what.
    pub reactions: Vec<(i64, String)>,
    /// The number of the message that it answers.
    pub reply_to: Option<i32>,
    /// The topic that it belongs to, in a forum.
    pub topic: Option<i32>,
    /// The album that it belongs to.
    pub album: Option<i64>,
    /// The size of its file.
    pub file: Option<i64>,
    /// Where its author is, and for how many seconds they share it.
    pub live: Option<String>,
}

impl Message {
    pub(crate) fn plain(from: i64, text: &str) -> Self {
        Self {
            from,
            text: text.into(),
            entities: Vec::new(),
            date: 0,
            edited: None,
            reply_to: None,
            topic: None,
            action: None,
            media: None,
            reactions: Vec::new(),
            buttons: Vec::new(),
            votes: Vec::new(),
            album: None,
        }
    }
}

pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    pub(crate) phone: String,
    pub(crate) bot: bool,
    pub(crate) token: String,
    pub(crate) password: Option<String>,
    pub(crate) pts: i32,
    pub(crate) qts: i32,
    pub(crate) next: i32,
    /// Their numbers of messages: with whom or in which group, and which.
    pub(crate) mailbox: BTreeMap<i32, (Other, usize)>,
    pub(crate) log: Vec<Logged>,
}

/// The other end of what is not in a supergroup.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Other {
    Person(i64),
    Group(i64),
}

impl Other {
    pub(crate) fn peer(self) -> tl::enums::Peer {
        match self {
            Self::Person(user_id) => tl::types::PeerUser { user_id }.into(),
            Self::Group(chat_id) => tl::types::PeerChat { chat_id }.into(),
        }
    }
}

pub(crate) struct Channel {
    pub(crate) title: String,
    /// The topics, by the messages that began them; `None`: it is no forum.
    pub(crate) topics: Option<BTreeMap<i32, String>>,
    /// Of the topics, those in which only administrators write.
    pub(crate) closed: BTreeSet<i32>,
    pub(crate) members: BTreeSet<i64>,
    /// Who has begun it, and when.
    pub(crate) creator: Option<(i64, i32)>,
    /// Whether only administrators write.
    pub(crate) broadcast: bool,
    pub(crate) about: String,
    pub(crate) pts: i32,
    pub(crate) next: i32,
    pub(crate) messages: BTreeMap<i32, Message>,
    pub(crate) log: Vec<Logged>,
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) from: i64,
    pub(crate) text: String,
    pub(crate) entities: Vec<tl::enums::MessageEntity>,
    pub(crate) date: i32,
    pub(crate) edited: Option<i32>,
    pub(crate) reply_to: Option<i32>,
    /// The topic of a forum that it belongs to.
    pub(crate) topic: Option<i32>,
    /// What happened, if nothing was said.
    pub(crate) action: Option<tl::enums::MessageAction>,
    pub(crate) media: Option<tl::enums::MessageMedia>,
    pub(crate) reactions: Vec<(i64, tl::enums::Reaction)>,
    /// Buttons under it: what they say, and what their bot is told.
    pub(crate) buttons: Vec<(String, Vec<u8>)>,
    /// The votes in it, if it is a poll.
    pub(crate) votes: Vec<Vote>,
    /// The album that it belongs to.
    pub(crate) album: Option<i64>,
}

/// An entry of a stream of updates.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) pts: i32,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) enum What {
    New(i32),
    Edit(i32),
    Delete(i32),
    Pin(i32, bool),
}

/// Somebody's open connection.
pub(crate) struct Connection {
    pub(crate) key: [u8; 8],
    pub(crate) push: mpsc::UnboundedSender<Vec<u8>>,
    pub(crate) cut: Arc<Notify>,
}

impl World {
    /// Adds a person.
    pub fn person(&mut self, id: i64, name: &str, phone: &str) {
        let person = Person {
            name: name.into(),
            username: Some(name.to_lowercase()),
            phone: phone.trim_start_matches('+').into(),
            bot: false,
            token: String::new(),
            password: None,
            pts: 1,
            qts: 0,
            next: 1,
            mailbox: BTreeMap::new(),
            log: Vec::new(),
        };
        self.people.insert(id, person);
    }

    /// Adds a bot.
    pub fn bot(&mut self, id: i64, name: &str, token: &str) {
        self.person(id, name, "");
        if let Some(bot) = self.people.get_mut(&id) {
            bot.bot = true;
            bot.token = token.into();
        }
    }

    /// Gives somebody a password, which is asked for besides the code.
    pub fn password(&mut self, id: i64, password: &str) {
        if let Some(person) = self.people.get_mut(&id) {
            person.password = Some(password.into());
        }
    }

    /// Adds a supergroup.
    pub fn channel(&mut self, id: i64, title: &str, members: &[i64]) {
        let channel = Channel {
            title: title.into(),
            topics: None,
            closed: BTreeSet::new(),
            members: members.iter().copied().collect(),
            creator: None,
            broadcast: false,
            about: String::new(),
            pts: 1,
            next: 1,
            messages: BTreeMap::new(),
            log: Vec::new(),
        };
        self.channels.insert(id, channel);
    }

    /// Somebody who isn't bridged says something; gives its number in a supergroup, or among its author's own.
    pub fn say(&mut self, from: i64, place: Place, text: &str) -> i32 {
        self.add(place, Message::plain(from, text))
    }

    /// Somebody sends a file.
    pub fn send_file(&mut self, from: i64, place: Place, name: &str, bytes: &[u8]) -> i32 {
        let number = self.files.len() as i64 + 1;
        self.files.insert(number, bytes.to_vec());
        let media = build::file(number, name, bytes.len() as i64);
        let message = Message { media: Some(media), ..Message::plain(from, "") };
        self.add(place, message)
    }

    /// A bot says something with buttons under it, each with what it is told when it is pressed.
    pub fn ask(&mut self, from: i64, place: Place, text: &str, buttons: &[(&str, &str)]) -> i32 {
        let button = |(shown, told): &(&str, &str)| ((*shown).to_owned(), told.as_bytes().to_vec());
        let buttons = buttons.iter().map(button).collect();
        self.add(place, Message { buttons, ..Message::plain(from, text) })
    }

    /// Somebody changes what they said in a supergroup.
    pub fn edit(&mut self, channel: i64, number: i32, text: &str) {
        let now = now();
        let there = self.channels.get_mut(&channel);
        if let Some(message) = there.and_then(|channel| channel.messages.get_mut(&number)) {
            message.text = text.into();
            message.edited = Some(now);
            self.log_channel(channel, What::Edit(number));
        }
    }

    /// Somebody deletes what was said in a supergroup.
    pub fn delete(&mut self, channel: i64, number: i32) {
        let there = self.channels.get_mut(&channel);
        if there.and_then(|channel| channel.messages.remove(&number)).is_some() {
            self.log_channel(channel, What::Delete(number));
        }
    }

    /// Somebody deletes a direct message, for both, by their own number of it.
    pub fn delete_direct(&mut self, who: i64, number: i32) {
        let mailbox = self.people.get(&who).map(|person| &person.mailbox);
        let Some((_, at)) = mailbox.and_then(|mailbox| mailbox.get(&number)).copied() else {
            return;
        };
        if self.direct.get_mut(at).and_then(Option::take).is_some() {
            for (holder, number) in self.holders(at) {
                self.log_person(holder, What::Delete(number));
            }
        }
    }

    /// What was said, in order.
    pub fn said(&self, place: Place) -> Vec<Said> {
        let spoken = |message: &&Message| message.action.is_none();
        let said = |message: &Message| Said {
            reply_to: message.reply_to,
            topic: message.topic,
            album: message.album,
            file: message.media.as_ref().and_then(build::size),
            live: message.media.as_ref().and_then(build::live),
            from: message.from,
            text: message.text.clone(),
            edited: message.edited.is_some(),
            reactions: message
                .reactions
                .iter()
                .map(|(who, reaction)| {
                    let reaction = match reaction {
                        tl::enums::Reaction::Emoji(emoji) => emoji.emoticon.clone(),
                        other => format!("{other:?}"),
                    };
                    (*who, reaction)
                })
                .collect(),
        };
        match place {
            Place::Channel(id) => self
                .channels
                .get(&id)
                .map(|channel| channel.messages.values().filter(spoken).map(said).collect()),
            Place::Direct(a, b) => {
                let with = self.mail(a, Other::Person(b)).into_iter();
                Some(with.map(|(_, message)| message).filter(spoken).map(said).collect())
            }
            Place::Group(id) => self.groups.get(&id).and_then(|group| {
                let in_it = self.mail(*group.members.first()?, Other::Group(id)).into_iter();
                Some(in_it.map(|(_, message)| message).filter(spoken).map(said).collect())
            }),
        }
        .unwrap_or_default()
    }

    /// What somebody has of a direct chat or group, by their own numbers.
    pub(crate) fn mail(&self, who: i64, other: Other) -> Vec<(i32, &Message)> {
        let mailbox = self.people.get(&who).into_iter().flat_map(|person| &person.mailbox);
        let with = mailbox.filter(|(_, (known, _))| *known == other);
        with.filter_map(|(number, (_, at))| Some((*number, self.direct.get(*at)?.as_ref()?)))
            .collect()
    }

    /// Breaks all connections.
    pub fn cut_connections(&mut self) {
        for connection in self.connections.drain(..) {
            connection.cut.notify_one();
        }
    }

    /// Signs everybody out.
    pub fn sign_out_all(&mut self) {
        self.signed_in.clear();
    }

    /// Whether anybody is connected who is this person.
    pub fn is_connected(&self, id: i64) -> bool {
        self.connections.iter().any(|connection| self.signed_in.get(&connection.key) == Some(&id))
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> u32 {
        self.asked.get(method).copied().unwrap_or(0)
    }

    /// Somebody scans the QR code that is shown.
    pub fn scan(&mut self, token: &[u8], user: i64) -> bool {
        let Some((key, who)) = self.qr.get_mut(token) else { return false };
        *who = Some(user);
        let key = *key;
        let update = tl::types::UpdateShort { update: tl::enums::Update::LoginToken, date: DATE };
        let bytes = tl::Serializable::to_bytes(&tl::enums::Updates::UpdateShort(update));
        for connection in self.connections.iter().filter(|connection| connection.key == key) {
            let _ = connection.push.send(bytes.clone());
        }
        true
    }

    /// Adds a message, and tells of it; gives its number for its author.
    pub(crate) fn add(&mut self, place: Place, mut message: Message) -> i32 {
        message.date = now();
        match place {
            Place::Channel(id) => {
                let Some(channel) = self.channels.get_mut(&id) else { return 0 };
                let number = channel.next;
                channel.next += 1;
                channel.messages.insert(number, message);
                self.log_channel(id, What::New(number));
                number
            }
            Place::Direct(a, b) => {
                self.deliver(message, vec![(a, Other::Person(b)), (b, Other::Person(a))])
            }
            Place::Group(id) => {
                let members = self.groups.get(&id).map(|group| group.members.clone());
                let to = members.unwrap_or_default().into_iter();
                self.deliver(message, to.map(|who| (who, Other::Group(id))).collect())
            }
        }
    }

    /// Gives a message to those who have numbers of their own for it; gives its author's.
    fn deliver(&mut self, message: Message, to: Vec<(i64, Other)>) -> i32 {
        let from = message.from;
        let at = self.direct.len();
        self.direct.push(Some(message));
        let mut own = 0;
        for (who, other) in to {
            let Some(person) = self.people.get_mut(&who) else { continue };
            let number = person.next;
            person.next += 1;
            person.mailbox.insert(number, (other, at));
            if who == from {
                own = number;
            }
            self.log_person(who, What::New(number));
        }
        own
    }

    /// The people of whom a direct message is, with their numbers of it.
    pub(crate) fn holders(&self, at: usize) -> Vec<(i64, i32)> {
        let one = |(who, person): (&i64, &Person)| {
            let number = person.mailbox.iter().find(|(_, (_, message))| *message == at);
            number.map(|(number, _)| (*who, *number))
        };
        self.people.iter().filter_map(one).collect()
    }

    /// Whether this request to send is refused for now.
    pub(crate) fn is_flood(&mut self) -> bool {
        self.counts.sends += 1;
        due(self.faults.flood, self.counts.sends)
    }

    /// Whether this answer is lost.
    pub(crate) fn loses_answer(&mut self) -> bool {
        self.counts.answers += 1;
        due(self.faults.lose_answer, self.counts.answers)
    }
}

/// The time, in seconds since the Unix epoch.
pub(crate) fn now() -> i32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(DATE, |now| now.as_secs() as i32)
}

fn due(every: Option<u32>, count: u32) -> bool {
    every.is_some_and(|every| every > 0 && count.is_multiple_of(every))
}
