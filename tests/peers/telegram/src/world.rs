//! What the server knows: people, chats, what was said, who is signed in and connected.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use grammers_tl_types as tl;
use tokio::sync::{Notify, mpsc};

use crate::build::{self, DATE};

mod albums;
mod chats;
mod forums;
mod groups;
mod passing;
mod polls;
mod said;
mod updates;

pub use chats::Shown;
pub(crate) use groups::Group;
pub use passing::Passed;
pub use polls::Asked;
pub(crate) use said::Message;
pub use said::{Said, Sent, carried};

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
    /// The previews of files, by the size's name.
    pub(crate) previews: HashMap<(i64, String), Vec<u8>>,
    /// Custom emoji.
    pub(crate) emoji: HashMap<i64, tl::types::Document>,
    /// What people did that leaves no message, in order.
    pub(crate) passed: Vec<Passed>,
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

pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    pub(crate) phone: String,
    pub(crate) bot: bool,
    pub(crate) token: String,
    pub(crate) password: Option<String>,
    /// The number of their picture.
    pub(crate) picture: Option<i64>,
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
    /// The number of its picture.
    pub(crate) picture: Option<i64>,
    /// Those of its members who are administrators, besides its creator.
    pub(crate) administrators: BTreeSet<i64>,
    /// Who was in it.
    pub(crate) left: BTreeSet<i64>,
    /// Who may not come back.
    pub(crate) banned: BTreeSet<i64>,
    /// What everybody may not do.
    pub(crate) rights: tl::types::ChatBannedRights,
    /// After how many seconds what is said in it disappears.
    pub(crate) timer: Option<i32>,
    pub(crate) pts: i32,
    pub(crate) next: i32,
    pub(crate) messages: BTreeMap<i32, Message>,
    pub(crate) log: Vec<Logged>,
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
    /// Somebody has read what they were told, up to this.
    ReadInbox(Other, i32),
    /// The other has read what they were told, up to this of one's own numbers.
    ReadOutbox(Other, i32),
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
            picture: None,
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
            picture: None,
            administrators: BTreeSet::new(),
            left: BTreeSet::new(),
            banned: BTreeSet::new(),
            rights: build::allowed(),
            timer: None,
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
        let number = self.keep(bytes);
        let media = build::file(number, name, bytes.len() as i64);
        let message = Message { media: Some(media), ..Message::plain(from, "") };
        self.add(place, message)
    }

    /// Keeps a file; gives its number.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> i64 {
        // Numbers of people and chats are small, so that a file's times seven stays a number.
        let number = self.files.len() as i64 + 1;
        self.files.insert(number, bytes.to_vec());
        number
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
                self.deliver_in(id, message, members.unwrap_or_default())
            }
        }
    }

    /// Gives a message of a basic group to some; gives its author's number.
    pub(crate) fn deliver_in(&mut self, group: i64, message: Message, to: BTreeSet<i64>) -> i32 {
        let to = to.into_iter().map(|who| (who, Other::Group(group))).collect();
        self.deliver(message, to)
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
