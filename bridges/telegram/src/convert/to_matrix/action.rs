//! Service messages: what happened in a chat. What Matrix has a form for takes it; the rest is said in words.

use std::time::Duration;

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    event::{
        Body, CallNotice, ChatDelta, Content, Disappear, MemberChange, Membership, Message,
        RemoteEvent, Sender,
    },
    format::{Rich, Style, UserTarget},
};
use tl::enums::MessageAction as Action;

use super::{
    content::money,
    media,
    reader::{Read, Reader, topic_of},
};
use crate::{
    config::Topics,
    connector::Telegram,
    convert::{
        dates,
        files::{FileRef, Home},
    },
    ids::{ChatId, Peer, UserId},
    raw::{Known, facts},
};

/// What an action comes to.
#[allow(clippy::large_enum_variant, reason = "one at a time is made, and taken apart at once")]
enum Told {
    /// Something with a form of its own.
    Body(Body<Telegram>),
    /// Words, said by whoever did it.
    Words(Rich),
    /// Nothing: it is told by another update as well, or is nobody's business.
    Nothing,
}

impl Reader<'_> {
    #[allow(clippy::unnecessary_wraps, reason = "all that is read has one form")]
    pub(super) fn service(&self, message: &tl::types::MessageService, known: &Known) -> Read {
        let peer: Peer = (&message.peer_id).into();
        let topic = match &message.action {
            // The message that begins a topic is what the topic is named by.
            Action::TopicCreate(_) => Some(message.id),
            _ => topic_of(message.reply_to.as_ref()),
        };
        let (chat, thread) = self.chat_of(peer, topic, known);
        let sender = if message.out && !message.post {
            Sender::Me
        } else {
            self.writer(message.from_id.as_ref(), &message.peer_id)
        };
        let told = self.told(message, chat, &sender, known);
        let body = match told {
            Told::Nothing => return Ok(Vec::new()),
            Told::Body(body) => body,
            Told::Words(words) => {
                Message::of(message.id, Content::Notice(words)).in_thread(thread).into()
            }
        };
        let opens = matches!(body, Body::Message(_) | Body::ChatInfo(_) | Body::Members(_));
        let mut event = self.event(chat, sender, message.date, format!("m{}", message.id), body);
        let moved = self.moved_here(message, peer);
        if !opens || moved.is_some() {
            event = event.only_in_known_portals();
        }
        let event = event.ordered(i64::from(message.id));
        Ok(moved.into_iter().chain([event]).collect())
    }

    /// A supergroup's first message says which group it was. Whether that or the group's own last message is read first: the group's room
    /// goes on with the supergroup, and no other is opened for it.
    fn moved_here(
        &self,
        message: &tl::types::MessageService,
        peer: Peer,
    ) -> Option<RemoteEvent<Telegram>> {
        let Action::ChannelMigrateFrom(from) = &message.action else { return None };
        let group = ChatId::of(Peer::Group(from.chat_id));
        let body = Body::PortalMoved { to: self.portal(ChatId::of(peer)) };
        let key = format!("moved{}", message.id);
        Some(self.event(group, Sender::System, message.date, key, body).only_in_known_portals())
    }

    fn members(&self, users: &[i64], membership: Membership) -> Told {
        let change = |id: &i64| MemberChange {
            user: self.sender(Peer::User(*id)),
            membership,
            reason: None,
        };
        Told::Body(users.iter().map(change).collect::<Vec<_>>().into())
    }

    #[allow(clippy::too_many_lines, reason = "one line for each kind of action")]
    fn told(
        &self,
        message: &tl::types::MessageService,
        chat: ChatId,
        sender: &Sender<Telegram>,
        known: &Known,
    ) -> Told {
        let say = |text: String| Told::Words(Rich::plain(text));
        let by = |before: &str, user: i64, after: &str| {
            let mut words = Rich::plain(before);
            words.append(&name(user, known));
            words.push(after);
            Told::Words(words)
        };
        match &message.action {
            Action::ChatCreate(create) => Told::Body(ChatDelta::name(&create.title).into()),
            Action::ChannelCreate(create) => Told::Body(ChatDelta::name(&create.title).into()),
            Action::ChatEditTitle(edit) => Told::Body(ChatDelta::name(&edit.title).into()),
            Action::ChatEditPhoto(edit) => {
                Told::Body(picture(&edit.photo, chat, message.id).into())
            }
            Action::ChatDeletePhoto => {
                Told::Body(ChatDelta { avatar: Some(None), ..ChatDelta::default() }.into())
            }
            Action::ChatAddUser(add) => self.members(&add.users, Membership::Join),
            Action::ChatDeleteUser(delete) => self.members(&[delete.user_id], Membership::Leave),
            Action::ChatJoinedByLink(_)
            | Action::ChatJoinedByRequest
            | Action::ChatJoinedViaCommunity(_) => {
                let user = sender.clone();
                Told::Body(
                    vec![MemberChange { user, membership: Membership::Join, reason: None }].into(),
                )
            }
            Action::ChatMigrateTo(migrate) => {
                let to = self.portal(ChatId::of(Peer::Channel(migrate.channel_id)));
                Told::Body(Body::PortalMoved { to })
            }
            Action::ChannelMigrateFrom(_) => say("This group was upgraded to a supergroup.".into()),
            Action::TopicCreate(topic) if self.topics == Topics::Rooms => {
                Told::Body(ChatDelta::name(&topic.title).into())
            }
            Action::TopicCreate(topic) => {
                say(format!("Began the topic \u{201c}{}\u{201d}", topic.title))
            }
            Action::TopicEdit(edit) => self.topic_edit(edit),
            Action::PhoneCall(call) => {
                Told::Body(Body::Call(CallNotice { text: call_words(call), link: None }))
            }
            Action::ConferenceCall(call) => {
                let text = match (call.missed, call.active) {
                    (true, _) => "Missed group call".to_owned(),
                    (false, true) => "Group call is going on".to_owned(),
                    (false, false) => ended("Group call", call.duration),
                };
                Told::Body(Body::Call(CallNotice { text, link: None }))
            }
            Action::GroupCall(call) => {
                let text = match call.duration {
                    Some(_) => ended("Video chat", call.duration),
                    None => "Video chat started".into(),
                };
                Told::Body(Body::Call(CallNotice { text, link: None }))
            }
            Action::GroupCallScheduled(call) => {
                let text =
                    format!("Video chat scheduled for {}", dates::calendar(call.schedule_date));
                Told::Body(Body::Call(CallNotice { text, link: None }))
            }
            Action::InviteToGroupCall(invite) => {
                let mut words = Rich::plain("Invited ");
                words.append(&names(&invite.users, known));
                words.push(" to the video chat");
                Told::Words(words)
            }
            Action::SetMessagesTtl(ttl) => Told::Body(timer(ttl.period).into()),
            Action::ScreenshotTaken => say("Took a screenshot".into()),
            Action::CustomAction(custom) => say(custom.message.clone()),
            Action::ContactSignUp => say("Joined Telegram".into()),
            Action::GameScore(game) => say(format!("Scored {} in a game", game.score)),
            Action::BotAllowed(bot) => match &bot.domain {
                Some(domain) => {
                    say(format!("Allowed the bot to send messages, by logging in on {domain}"))
                }
                None => say("Allowed the bot to send messages".into()),
            },
            Action::GeoProximityReached(near) => {
                let mut words = Rich::new();
                words.append(&peer_name((&near.from_id).into(), known));
                words.push(" is within ");
                words.push(&metres(near.distance));
                words.push(" of ");
                words.append(&peer_name((&near.to_id).into(), known));
                Told::Words(words)
            }
            Action::SetChatTheme(theme) => match &theme.theme {
                tl::enums::ChatTheme::Theme(theme) if theme.emoticon.is_empty() => {
                    say("Took back the chat's theme".into())
                }
                tl::enums::ChatTheme::Theme(theme) => {
                    say(format!("Changed the chat's theme to {}", theme.emoticon))
                }
                tl::enums::ChatTheme::UniqueGift(_) => say("Changed the chat's theme".into()),
            },
            Action::SetChatWallPaper(_) => say("Changed the chat's wallpaper".into()),
            Action::SuggestProfilePhoto(_) => say("Suggested a profile photo".into()),
            Action::SuggestBirthday(_) => say("Suggested a date of birth".into()),
            Action::PaymentSent(payment) => {
                say(format!("Paid {}", money(payment.total_amount, &payment.currency)))
            }
            Action::PaymentSentMe(payment) => {
                say(format!("Paid {}", money(payment.total_amount, &payment.currency)))
            }
            Action::PaymentRefunded(refund) => {
                say(format!("Was refunded {}", money(refund.total_amount, &refund.currency)))
            }
            Action::GiftPremium(gift) => {
                say(format!("Gave Telegram Premium for {} days", gift.days))
            }
            Action::GiftCode(gift) => {
                say(format!("Gave a code for {} days of Telegram Premium", gift.days))
            }
            Action::GiftStars(gift) => say(format!("Gave {} stars", gift.stars)),
            Action::GiftTon(_) | Action::StarGift(_) | Action::StarGiftUnique(_) => {
                say("Gave a gift".into())
            }
            Action::PrizeStars(prize) => say(format!("Won {} stars in a giveaway", prize.stars)),
            Action::GiveawayLaunch(_) => say("Began a giveaway".into()),
            Action::GiveawayResults(results) => {
                say(format!("The giveaway has {} winners", results.winners_count))
            }
            Action::BoostApply(boost) => say(format!("Boosted the group {} times", boost.boosts)),
            Action::TodoCompletions(todo) => {
                say(match (todo.completed.len(), todo.incompleted.len()) {
                    (done, 0) => format!("Marked {done} tasks as done"),
                    (0, open) => format!("Marked {open} tasks as open"),
                    (done, open) => format!("Marked {done} tasks as done and {open} as open"),
                })
            }
            Action::TodoAppendTasks(todo) => say(format!("Added {} tasks", todo.list.len())),
            Action::PaidMessagesPrice(price) if price.stars > 0 => {
                say(format!("Messages here now cost {} stars", price.stars))
            }
            Action::PaidMessagesPrice(_) => say("Messages here are now free".into()),
            Action::PaidMessagesRefunded(refund) => {
                say(format!("Refunded {} messages ({} stars)", refund.count, refund.stars))
            }
            Action::WebViewDataSent(data) => {
                say(format!("Sent data by the button \u{201c}{}\u{201d}", data.text))
            }
            Action::WebViewDataSentMe(data) => {
                say(format!("Sent data by the button \u{201c}{}\u{201d}", data.text))
            }
            Action::RequestedPeer(_) | Action::RequestedPeerSentMe(_) => {
                say("Shared a chat with the bot".into())
            }
            Action::SecureValuesSent(_) | Action::SecureValuesSentMe(_) => {
                say("Shared documents of Telegram Passport".into())
            }
            Action::NoForwardsToggle(toggle) if toggle.new_value => {
                say("Messages here can no longer be forwarded".into())
            }
            Action::NoForwardsToggle(_) => say("Messages here can be forwarded again".into()),
            Action::NewCreatorPending(creator) => {
                by("Ownership will pass to ", creator.new_creator_id, "")
            }
            Action::ChangeCreator(creator) => {
                by("Ownership passed to ", creator.new_creator_id, "")
            }
            Action::PollAppendAnswer(_) => say("Added an answer to a poll".into()),
            Action::PollDeleteAnswer(_) => say("Removed an answer from a poll".into()),
            Action::ManagedBotCreated(bot) => by("Created the bot ", bot.bot_id, ""),
            Action::SuggestedPostApproval(post) if post.rejected => {
                say("Declined the suggested post".into())
            }
            Action::SuggestedPostApproval(_) => say("Approved the suggested post".into()),
            Action::SuggestedPostSuccess(_) => say("The suggested post was paid for".into()),
            Action::SuggestedPostRefund(_) => say("The suggested post was refunded".into()),
            Action::StarGiftPurchaseOffer(_) => say("Offered to buy a gift".into()),
            Action::StarGiftPurchaseOfferDeclined(_) => say("Declined to sell a gift".into()),
            Action::ChangeCommunity(_) => say("The group's community was changed".into()),
            Action::GramTransfer(_) => say("Sent money".into()),
            // Pins come as updates of their own, with the whole list; a cleared history is the account's own affair.
            Action::PinMessage
            | Action::HistoryClear
            | Action::NoForwardsRequest(_)
            | Action::WalletTonConnectRequest(_)
            | Action::Empty => Told::Nothing,
        }
    }

    fn topic_edit(&self, edit: &tl::types::MessageActionTopicEdit) -> Told {
        let words = |text: &str| Told::Words(Rich::plain(text));
        match (&edit.title, edit.closed, edit.hidden) {
            (Some(title), ..) if self.topics == Topics::Rooms => {
                Told::Body(ChatDelta::name(title).into())
            }
            (Some(title), ..) => {
                Told::Words(Rich::plain(format!("Renamed the topic \u{201c}{title}\u{201d}")))
            }
            (None, Some(true), _) => words("Closed the topic"),
            (None, Some(false), _) => words("Opened the topic again"),
            (None, None, Some(true)) => words("Hid the topic"),
            (None, None, Some(false)) => words("Shows the topic again"),
            (None, None, None) => Told::Nothing,
        }
    }
}

/// When messages disappear from now on.
pub(super) fn timer(seconds: i32) -> ChatDelta<Telegram> {
    let after = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    ChatDelta { disappear: Some(after.map(Disappear::after_sending)), ..ChatDelta::default() }
}

fn picture(photo: &tl::enums::Photo, chat: ChatId, message: i32) -> ChatDelta<Telegram> {
    let source = match photo {
        tl::enums::Photo::Photo(photo) => media::largest(&photo.sizes).map(|(size, ..)| {
            let home = Home::Message(chat, message);
            FileRef::Photo { id: photo.id, hash: photo.access_hash, dc: photo.dc_id, size, home }
                .encode()
        }),
        tl::enums::Photo::Empty(_) => None,
    };
    ChatDelta { avatar: source.map(Some), ..ChatDelta::default() }
}

fn name(user: i64, known: &Known) -> Rich {
    peer_name(Peer::User(user), known)
}

fn peer_name(peer: Peer, known: &Known) -> Rich {
    let name = facts(known, peer).map(|facts| facts.name.clone()).filter(|name| !name.is_empty());
    let mut out = Rich::new();
    match peer {
        Peer::User(_) => {
            let style = Style::User(UserTarget::Remote(UserId(peer).encode()));
            out.push_styled(&name.unwrap_or_else(|| "somebody".into()), style);
        }
        Peer::Group(_) | Peer::Channel(_) => {
            out.push(&name.unwrap_or_else(|| "a chat".into()));
        }
    }
    out
}

fn names(users: &[i64], known: &Known) -> Rich {
    const SHOWN: usize = 10;
    let mut out = Rich::new();
    for (at, user) in users.iter().take(SHOWN).enumerate() {
        if at > 0 {
            out.push(", ");
        }
        out.append(&name(*user, known));
    }
    if users.len() > SHOWN {
        out.push(&format!(" and {} others", users.len() - SHOWN));
    }
    out
}

fn metres(distance: i32) -> String {
    match distance {
        ..1000 => format!("{distance} m"),
        _ => format!("{}.{} km", distance / 1000, distance % 1000 / 100),
    }
}

fn ended(what: &str, duration: Option<i32>) -> String {
    match duration {
        Some(duration) => format!("{what} ended ({})", dates::length(duration)),
        None => format!("{what} ended"),
    }
}

fn call_words(call: &tl::types::MessageActionPhoneCall) -> String {
    use tl::enums::PhoneCallDiscardReason as Reason;
    let what = if call.video { "Video call" } else { "Call" };
    match (&call.reason, call.duration) {
        (Some(Reason::Missed), _) => format!("{what} missed"),
        (Some(Reason::Busy), _) => format!("{what} declined"),
        (_, Some(duration)) if duration > 0 => {
            format!("{what} ended ({})", dates::length(duration))
        }
        (Some(Reason::MigrateConferenceCall(_)), _) => format!("{what} became a group call"),
        _ => format!("{what} ended"),
    }
}
