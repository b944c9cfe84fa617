//! Requests and their answers.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "whatever a method needs of its request, all have one form"
)]

mod albums;
mod begun;
mod files;
mod groups;
mod password;
mod reading;
mod rooms;
mod signing_in;
mod writing;

use grammers_tl_types as tl;
use tl::{Cursor, Deserializable, Identifiable, Serializable};

use crate::{
    build, packet,
    world::{Place, World},
};

/// A request is refused.
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) message: String,
}

pub(crate) fn refused<T>(code: i32, message: &str) -> Result<T, Refusal> {
    Err(Refusal { code, message: message.into() })
}

pub(crate) type Answer<T> = Result<T, Refusal>;

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) key: [u8; 8],
    pub(crate) me: Option<i64>,
}

impl Asker {
    /// Somebody who is signed in.
    pub(crate) fn person(self) -> Answer<i64> {
        self.me.ok_or_else(|| Refusal { code: 401, message: "AUTH_KEY_UNREGISTERED".into() })
    }
}

/// A request that this server answers.
trait Method: Deserializable + Identifiable {
    const NAME: &'static str;
    fn answer(self, world: &mut World, asker: Asker) -> Answer<Vec<u8>>;
}

macro_rules! methods {
    ($($method:path => $function:path),* $(,)?) => {
        $(impl Method for $method {
            const NAME: &'static str = stringify!($method);
            fn answer(self, world: &mut World, asker: Asker) -> Answer<Vec<u8>> {
                $function(world, asker, self).map(|result| result.to_bytes())
            }
        })*

        fn dispatch(world: &mut World, asker: Asker, id: u32, rest: &[u8]) -> Answer<Vec<u8>> {
            $(if id == <$method as Identifiable>::CONSTRUCTOR_ID {
                let request = <$method as Deserializable>::from_bytes(rest)
                    .map_err(|error| Refusal { code: 400, message: format!("INPUT_METHOD_INVALID: {error}") })?;
                let name = <$method as Method>::NAME;
                *world.asked.entry(name.rsplit("::").next().unwrap_or(name).trim()).or_default() += 1;
                return request.answer(world, asker);
            })*
            tracing::warn!(method = tl::name_for_id(id), "a method that this server doesn't know");
            refused(400, "METHOD_NOT_KNOWN")
        }
    };
}

methods! {
    tl::functions::help::GetConfig => get_config,
    tl::functions::auth::SendCode => signing_in::send_code,
    tl::functions::auth::SignIn => signing_in::sign_in,
    tl::functions::auth::ImportBotAuthorization => signing_in::bot,
    tl::functions::auth::ExportLoginToken => signing_in::qr,
    tl::functions::auth::LogOut => signing_in::log_out,
    tl::functions::account::GetPassword => password::challenge,
    tl::functions::auth::CheckPassword => password::check,
    tl::functions::users::GetUsers => reading::users,
    tl::functions::updates::GetState => reading::state,
    tl::functions::updates::GetDifference => reading::difference,
    tl::functions::updates::GetChannelDifference => reading::channel_difference,
    tl::functions::messages::GetDialogs => reading::dialogs,
    tl::functions::messages::GetHistory => reading::history,
    tl::functions::messages::GetReplies => reading::replies,
    tl::functions::messages::GetFullChat => groups::full,
    tl::functions::messages::EditChatTitle => groups::title,
    tl::functions::messages::EditChatPhoto => groups::picture,
    tl::functions::messages::AddChatUser => groups::bring,
    tl::functions::messages::DeleteChatUser => groups::remove,
    tl::functions::messages::EditChatAdmin => groups::appoint,
    tl::functions::messages::GetChats => groups::chats,
    tl::functions::messages::CreateChat => begun::group,
    tl::functions::messages::EditChatAbout => begun::about,
    tl::functions::channels::CreateChannel => begun::channel,
    tl::functions::channels::InviteToChannel => begun::invite,
    tl::functions::messages::GetForumTopicsById => groups::topics,
    tl::functions::messages::CreateForumTopic => groups::begin_topic,
    tl::functions::messages::EditForumTopic => groups::edit_topic,
    tl::functions::account::InitTakeoutSession => reading::begin_takeout,
    tl::functions::account::FinishTakeoutSession => reading::end_takeout,
    tl::functions::messages::GetMessages => reading::messages,
    tl::functions::channels::GetMessages => reading::channel_messages,
    tl::functions::channels::GetFullChannel => reading::full_channel,
    tl::functions::channels::GetParticipants => reading::participants,
    tl::functions::contacts::ResolveUsername => reading::resolve_username,
    tl::functions::contacts::ResolvePhone => reading::resolve_phone,
    tl::functions::contacts::Search => reading::search,
    tl::functions::messages::SendMessage => writing::send,
    tl::functions::messages::SendMedia => writing::send_media,
    tl::functions::messages::UploadMedia => albums::upload,
    tl::functions::messages::SendMultiMedia => albums::send,
    tl::functions::messages::EditMessage => writing::edit,
    tl::functions::messages::DeleteMessages => writing::delete,
    tl::functions::channels::DeleteMessages => writing::delete_in_channel,
    tl::functions::messages::SendReaction => writing::react,
    tl::functions::messages::SendVote => writing::vote,
    tl::functions::messages::UpdatePinnedMessage => writing::pin,
    tl::functions::messages::SetTyping => writing::typing,
    tl::functions::messages::GetBotCallbackAnswer => writing::press,
    tl::functions::messages::ReadHistory => rooms::read,
    tl::functions::channels::ReadHistory => rooms::read_channel,
    tl::functions::channels::JoinChannel => rooms::join,
    tl::functions::channels::EditTitle => rooms::title,
    tl::functions::channels::EditPhoto => rooms::picture,
    tl::functions::channels::LeaveChannel => rooms::leave,
    tl::functions::channels::EditBanned => rooms::restrict,
    tl::functions::channels::EditAdmin => rooms::promote,
    tl::functions::channels::GetChannels => rooms::channels,
    tl::functions::messages::EditChatDefaultBannedRights => rooms::permit,
    tl::functions::messages::SetHistoryTtl => rooms::expire,
    tl::functions::messages::MarkDialogUnread => rooms::mark_unread,
    tl::functions::account::UpdateStatus => rooms::status,
    tl::functions::messages::GetCustomEmojiDocuments => files::emoji,
    tl::functions::upload::SaveFilePart => files::save_part,
    tl::functions::upload::SaveBigFilePart => files::save_big_part,
    tl::functions::upload::GetFile => files::get,
}

fn get_config(
    _: &mut World,
    _: Asker,
    _: tl::functions::help::GetConfig,
) -> Answer<tl::enums::Config> {
    Ok(build::config())
}

/// The answer to a request's body.
pub(crate) fn answer(world: &mut World, key: [u8; 8], body: &[u8]) -> Answer<Vec<u8>> {
    let unreadable = || Refusal { code: 400, message: "INPUT_METHOD_INVALID".into() };
    let id = packet::constructor(body).ok_or_else(unreadable)?;
    let inner;
    let (id, rest) = if id == INVOKE_WITH_LAYER {
        inner =
            packet::unzipped(inner_query(body).ok_or_else(unreadable)?).ok_or_else(unreadable)?;
        (packet::constructor(&inner).ok_or_else(unreadable)?, &inner[4..])
    } else {
        (id, &body[4..])
    };
    let asker = Asker { key, me: world.signed_in.get(&key).copied() };
    if id == INVOKE_WITH_TAKEOUT {
        let query = reading::in_takeout(world, asker, rest)?;
        let id = packet::constructor(query).ok_or_else(unreadable)?;
        return dispatch(world, asker, id, &query[4..]);
    }
    dispatch(world, asker, id, rest)
}

const INVOKE_WITH_TAKEOUT: u32 = 0xaca9_fd2e;

const INVOKE_WITH_LAYER: u32 = 0xda9b_0d0d;
const INIT_CONNECTION: u32 = 0xc1cd_5ea9;

/// What `invokeWithLayer(initConnection(query))` asks for, which every connection begins with.
fn inner_query(body: &[u8]) -> Option<&[u8]> {
    let rest = body.get(8..)?;
    if packet::constructor(rest)? != INIT_CONNECTION {
        return Some(rest);
    }
    let mut cursor = Cursor::from_slice(rest.get(4..)?);
    let flags = u32::deserialize(&mut cursor).ok()?;
    i32::deserialize(&mut cursor).ok()?;
    for _ in 0..6 {
        String::deserialize(&mut cursor).ok()?;
    }
    // Neither a proxy nor parameters.
    (flags == 0).then(|| rest.get(4 + cursor.pos()..))?
}

/// Whether somebody may name somebody or something so: by the right hash, or, as a bot, by none.
fn may_name(world: &World, me: i64, id: i64, hash: i64) -> bool {
    hash == id * 7 || hash == 0 && world.people.get(&me).is_some_and(|person| person.bot)
}

/// Where a request means, for somebody.
pub(crate) fn place(world: &World, me: i64, peer: &tl::enums::InputPeer) -> Answer<Place> {
    match peer {
        tl::enums::InputPeer::User(user) if may_name(world, me, user.user_id, user.access_hash) => {
            Ok(Place::Direct(me, user.user_id))
        }
        tl::enums::InputPeer::PeerSelf => Ok(Place::Direct(me, me)),
        tl::enums::InputPeer::Chat(chat) => match world.groups.get(&chat.chat_id) {
            Some(group) if group.members.contains(&me) && group.became.is_none() => {
                Ok(Place::Group(chat.chat_id))
            }
            _ => refused(400, "PEER_ID_INVALID"),
        },
        tl::enums::InputPeer::Channel(channel)
            if may_name(world, me, channel.channel_id, channel.access_hash) =>
        {
            Ok(Place::Channel(channel.channel_id))
        }
        _ => refused(400, "PEER_ID_INVALID"),
    }
}

/// The supergroup that a request means, which the asker must be in.
pub(crate) fn channel(world: &World, me: i64, input: &tl::enums::InputChannel) -> Answer<i64> {
    match input {
        tl::enums::InputChannel::Channel(channel)
            if may_name(world, me, channel.channel_id, channel.access_hash) =>
        {
            member(world, me, channel.channel_id)
        }
        _ => refused(400, "CHANNEL_INVALID"),
    }
}

pub(crate) fn member(world: &World, me: i64, id: i64) -> Answer<i64> {
    match world.channels.get(&id) {
        Some(channel) if channel.members.contains(&me) => Ok(id),
        _ => refused(400, "CHANNEL_PRIVATE"),
    }
}
