//! Servers, channels, people.

use serde::Deserialize;

use super::lax;
use crate::ids::Id;

/// A user (API reference, "User Object").
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct User {
    /// Their identifier.
    pub id: Id,
    /// Their name, unique among people.
    #[serde(deserialize_with = "lax::value")]
    pub username: String,
    /// What they want to be called.
    #[serde(deserialize_with = "lax::value")]
    pub global_name: Option<String>,
    /// The hash of their picture.
    #[serde(deserialize_with = "lax::value")]
    pub avatar: Option<String>,
    /// What tells old names apart; `0` for the new ones.
    #[serde(deserialize_with = "lax::value")]
    pub discriminator: Option<String>,
    /// Whether it is a program.
    #[serde(deserialize_with = "lax::value")]
    pub bot: bool,
    /// Whether it is Discord itself.
    #[serde(deserialize_with = "lax::value")]
    pub system: bool,
    /// In the mentions of a message: their membership.
    #[serde(deserialize_with = "lax::value")]
    pub member: Option<Box<GuildMember>>,
}

impl User {
    /// What they are called outside of any server.
    pub fn name(&self) -> &str {
        self.global_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.username)
    }
}

/// Somebody's membership of a server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GuildMember {
    /// Who; missing inside of messages.
    #[serde(deserialize_with = "lax::value")]
    pub user: Option<User>,
    /// What they are called there.
    #[serde(deserialize_with = "lax::value")]
    pub nick: Option<String>,
    /// The hash of their picture there.
    #[serde(deserialize_with = "lax::value")]
    pub avatar: Option<String>,
    /// Their roles.
    #[serde(deserialize_with = "lax::list")]
    pub roles: Vec<Id>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Its identifier; that of `@everyone` is the server's.
    pub id: Id,
    /// What it is called.
    #[serde(deserialize_with = "lax::value")]
    pub name: String,
    /// Its colour, 0 for none.
    #[serde(deserialize_with = "lax::value")]
    pub color: u32,
    /// Its place in the order.
    #[serde(deserialize_with = "lax::value")]
    pub position: i64,
    /// What it allows, as a number in text.
    #[serde(deserialize_with = "lax::value")]
    pub permissions: String,
}

/// A server's own emoji, or one of Unicode's in a reaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Emoji {
    /// Its identifier; none for Unicode's.
    #[serde(deserialize_with = "lax::value")]
    pub id: Option<Id>,
    /// Its name, or the emoji itself. Missing when the emoji was deleted.
    #[serde(deserialize_with = "lax::value")]
    pub name: Option<String>,
    /// Whether it moves.
    #[serde(deserialize_with = "lax::value")]
    pub animated: bool,
}

/// What a role or member may do in one channel, against the rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Overwrite {
    /// The role or member.
    pub id: Id,
    /// 0 for a role, 1 for a member.
    #[serde(rename = "type", deserialize_with = "lax::value")]
    pub kind: u8,
    /// What is allowed besides.
    #[serde(deserialize_with = "lax::value")]
    pub allow: String,
    /// What is not allowed.
    #[serde(deserialize_with = "lax::value")]
    pub deny: String,
}

/// What sort of channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelKind {
    /// Text.
    #[default]
    Text,
    /// A direct chat.
    Dm,
    /// Voice, which has a text chat.
    Voice,
    /// A direct chat of several.
    GroupDm,
    /// A category: holds channels.
    Category,
    /// Announcements.
    Announcement,
    /// A thread.
    Thread,
    /// A thread for those who were asked into it.
    PrivateThread,
    /// A stage, which has a text chat.
    Stage,
    /// A forum: holds posts, which are threads.
    Forum,
    /// A forum of pictures.
    Media,
    /// Something else.
    Other,
}

impl ChannelKind {
    /// Whether messages stand in it.
    pub fn has_messages(self) -> bool {
        self.is_thread()
            || matches!(self, Self::Text | Self::Voice | Self::Announcement | Self::Stage)
    }
    /// Whether it is a thread, of whichever sort.
    pub fn is_thread(self) -> bool {
        matches!(self, Self::Thread | Self::PrivateThread)
    }
    /// Whether it may have threads.
    pub fn has_threads(self) -> bool {
        self.is_forum() || matches!(self, Self::Text | Self::Announcement)
    }
    /// Whether it holds only threads.
    pub fn is_forum(self) -> bool {
        matches!(self, Self::Forum | Self::Media)
    }
}

impl<'de> Deserialize<'de> for ChannelKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match lax::value::<D, Option<u8>>(deserializer)? {
            Some(0) => Self::Text,
            Some(1) => Self::Dm,
            Some(2) => Self::Voice,
            Some(3) => Self::GroupDm,
            Some(4) => Self::Category,
            Some(5) => Self::Announcement,
            Some(10 | 11) => Self::Thread,
            Some(12) => Self::PrivateThread,
            Some(13) => Self::Stage,
            Some(15) => Self::Forum,
            Some(16) => Self::Media,
            _ => Self::Other,
        })
    }
}

/// A tag that posts of a forum may carry (API reference, "Forum Tag Object").
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tag {
    /// Its identifier.
    pub id: Id,
    /// What it is called.
    #[serde(deserialize_with = "lax::value")]
    pub name: String,
    /// Whether only moderators may give it.
    #[serde(deserialize_with = "lax::value")]
    pub moderated: bool,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// Its identifier.
    pub id: Id,
    /// What sort it is.
    #[serde(rename = "type")]
    pub kind: ChannelKind,
    /// Its server.
    #[serde(deserialize_with = "lax::value")]
    pub guild_id: Option<Id>,
    /// What it is called.
    #[serde(deserialize_with = "lax::value")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(deserialize_with = "lax::value")]
    pub topic: Option<String>,
    /// Its category; a thread's channel.
    #[serde(deserialize_with = "lax::value")]
    pub parent_id: Option<Id>,
    /// Its place in the list.
    #[serde(deserialize_with = "lax::value")]
    pub position: i64,
    /// The newest message, which may be deleted by now.
    #[serde(deserialize_with = "lax::value")]
    pub last_message_id: Option<Id>,
    /// When something was pinned last.
    #[serde(deserialize_with = "lax::value")]
    pub last_pin_timestamp: Option<String>,
    /// Who may do what in it, against the rule.
    #[serde(deserialize_with = "lax::list")]
    pub permission_overwrites: Vec<Overwrite>,
    /// Who began a thread.
    #[serde(deserialize_with = "lax::value")]
    pub owner_id: Option<Id>,
    /// Of a thread: how it stands.
    #[serde(deserialize_with = "lax::value")]
    pub thread_metadata: Option<ThreadMetadata>,
    /// Of a forum: the tags that its posts may carry.
    #[serde(deserialize_with = "lax::list")]
    pub available_tags: Vec<Tag>,
    /// Of a post: the tags it carries.
    #[serde(deserialize_with = "lax::list")]
    pub applied_tags: Vec<Id>,
    /// What is special about it.
    #[serde(deserialize_with = "lax::value")]
    pub flags: u64,
    /// In `THREAD_CREATE`: whether it was made just now.
    #[serde(deserialize_with = "lax::value")]
    pub newly_created: bool,
}

impl Channel {
    /// In `flags`: a forum whose posts must carry a tag.
    const REQUIRE_TAG: u64 = 1 << 4;

    /// Whether its posts must carry a tag.
    pub fn requires_tag(&self) -> bool {
        self.kind.is_forum() && self.flags & Self::REQUIRE_TAG != 0
    }

    /// What it is called as a room: with the sign that people know channels by.
    pub fn room_name(&self) -> String {
        match self.kind {
            ChannelKind::Category
            | ChannelKind::Thread
            | ChannelKind::PrivateThread
            | ChannelKind::Forum
            | ChannelKind::Media => self.title().to_owned(),
            _ => format!("#{}", self.title()),
        }
    }

    /// What it is called, never nothing.
    pub fn title(&self) -> &str {
        self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("unnamed")
    }
}

/// How a thread stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ThreadMetadata {
    /// Put away for want of messages.
    #[serde(deserialize_with = "lax::value")]
    pub archived: bool,
    /// When that was last so or no longer so.
    #[serde(deserialize_with = "lax::value")]
    pub archive_timestamp: Option<String>,
    /// Only moderators may wake it.
    #[serde(deserialize_with = "lax::value")]
    pub locked: bool,
}

/// A server, as `GUILD_CREATE` tells it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Guild {
    /// Its identifier.
    pub id: Id,
    /// What it is called.
    #[serde(deserialize_with = "lax::value")]
    pub name: String,
    /// The hash of its picture.
    #[serde(deserialize_with = "lax::value")]
    pub icon: Option<String>,
    /// What it is for.
    #[serde(deserialize_with = "lax::value")]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(deserialize_with = "lax::value")]
    pub owner_id: Id,
    /// Whether Discord can't show it just now.
    #[serde(deserialize_with = "lax::value")]
    pub unavailable: bool,
    /// Its channels.
    #[serde(deserialize_with = "lax::list")]
    pub channels: Vec<Channel>,
    /// Its threads that aren't put away.
    #[serde(deserialize_with = "lax::list")]
    pub threads: Vec<Channel>,
    /// Its roles.
    #[serde(deserialize_with = "lax::list")]
    pub roles: Vec<Role>,
    /// Its emoji.
    #[serde(deserialize_with = "lax::list")]
    pub emojis: Vec<Emoji>,
}
