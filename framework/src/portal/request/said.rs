//! What somebody said: text, files, places, and that they start a poll.

use serde_json::Value;

use super::{Built, Given, poll::started_poll, text};
use crate::{
    control::authority::Power,
    engine::{Engine, Failure},
    event::{Geo, MediaKind},
    format::{self, Rich, RoomTarget, UserTarget},
    handlers::{Media, MediaCaps, Op, RelayStyle, Text, TextKind},
    plain::Plain,
    portal::{galleries::is_gallery, plan::has_caption, polls},
    relay::relayed,
};

impl Engine {
    /// Text as the network is to have it: its own users and rooms, and said by the relay for somebody if need be.
    pub(super) async fn said(
        &self,
        given: &Given<'_>,
        content: &Value,
        kind: TextKind,
    ) -> Result<Text, Failure> {
        let mut body = self.for_network(&format::from_content(content)).await?;
        if self.connector.abilities().calls_by_power
            && body.mentions_everyone()
            && !self.may_call(given).await?
        {
            body.call_nobody();
        }
        let mut kind = kind;
        if let (Some(relay), Some(RelayStyle::Prefix)) =
            (given.relay, self.connector.abilities().relay)
        {
            body = relayed(&self.config.relay, kind, relay, &body);
            kind = TextKind::Text;
        }
        let limit = self.connector.abilities().room.text.as_ref().map_or(0, |caps| caps.max_len);
        if limit > 0 && body.text().chars().count() > limit {
            return Err(Failure::Refused(format!(
                "the network takes texts of at most {limit} characters"
            )));
        }
        Ok(Text { body, kind })
    }

    /// Whether who said something has the power to call everybody (Client-Server API, `m.room.power_levels`).
    async fn may_call(&self, given: &Given<'_>) -> Result<bool, Failure> {
        let (room, sender) = (text(given.event, "room_id"), text(given.event, "sender"));
        Ok(Power::of(&self.matrix, &room, &sender, "/notifications/room").await?.enough)
    }

    /// Replaces Matrix's users, rooms and emoji by the network's, where they have some.
    async fn for_network(&self, rich: &Rich) -> Result<Rich, Failure> {
        let mut users = std::collections::HashMap::new();
        for target in rich.users() {
            if let UserTarget::Matrix(mxid) = target {
                let own = self.logins.of_owner(mxid).into_iter().find_map(|login| login.user);
                let remote = match own {
                    Some(user) => Some(user),
                    None if self.is_ghost(mxid) => self.user_of_ghost(mxid).await?,
                    None => None,
                };
                if let Some(user) = remote {
                    users.insert(mxid.clone(), user);
                }
            }
        }
        let mut rooms = std::collections::HashMap::new();
        for span in rich.spans() {
            if let format::Style::Room(RoomTarget::Matrix(room)) = &span.style
                && room.starts_with('!')
                && let Some(portal) = self.portal_of_room(room).await?
            {
                rooms.insert(room.clone(), portal.row().key.id);
            }
        }
        let mut rich = rich.clone();
        rich.resolve_users(|target| match target {
            UserTarget::Matrix(mxid) => Some(match users.get(mxid) {
                Some(user) => UserTarget::Remote(user.clone()),
                None => target.clone(),
            }),
            UserTarget::Remote(_) => Some(target.clone()),
        });
        rich.resolve_rooms(|target| match target {
            RoomTarget::Matrix(room) => Some(match rooms.get(room) {
                Some(id) => RoomTarget::Remote(id.clone()),
                None => target.clone(),
            }),
            RoomTarget::Remote(_) => Some(target.clone()),
        });
        self.with_remote_emoji(&mut rich).await?;
        Ok(rich)
    }

    pub(super) async fn build_send(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let content = given.content;
        let abilities = self.connector.abilities();
        if let Some(poll) = started_poll(given.event) {
            if !abilities.room.poll {
                let as_text = serde_json::json!({ "body": polls::in_words(&poll) });
                return Ok(Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?)));
            }
            let most = abilities.poll_options;
            if most > 0 && poll.options.len() > most {
                return Err(Failure::Refused(format!(
                    "the network takes polls of at most {most} answers"
                )));
            }
            return Ok(Ok(Op::Poll(poll)));
        }
        if is_gallery(content) {
            return self.build_gallery(given).await;
        }
        let msgtype = text(content, "msgtype");
        let kind = match msgtype.as_str() {
            "m.notice" => TextKind::Notice,
            "m.emote" => TextKind::Emote,
            _ => TextKind::Text,
        };
        if msgtype == "m.location"
            && abilities.room.location
            && let Some(place) = read_geo(content)
        {
            return Ok(Ok(Op::Location(place)));
        }
        if msgtype == "m.location" {
            let as_text = serde_json::json!({ "body": format!("{} {}", text(content, "body"), text(content, "geo_uri")) });
            return Ok(Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?)));
        }
        let Some(mxc) =
            content.get("url").and_then(Value::as_str).filter(|url| url.starts_with("mxc://"))
        else {
            return Ok(Ok(Op::Text(self.said(given, content, kind).await?)));
        };
        let media = self.read_media(content, given.event["type"] == "m.sticker", mxc);
        let Some(caps) = &abilities.room.media else {
            let caption = has_caption(content).then(|| text(content, "body"));
            return Ok(Ok(self.linked(given, caption, &[media]).await?));
        };
        let mut media = taken(media, caps)?;
        if caps.captions && has_caption(content) {
            media.caption = Some(self.said(given, content, TextKind::Text).await?.body);
        }
        Ok(Ok(Op::Media(media)))
    }

    /// Files as links, for networks that take none.
    pub(super) async fn linked(
        &self,
        given: &Given<'_>,
        caption: Option<String>,
        files: &[Media],
    ) -> Result<Op<Plain>, Failure> {
        let mut lines: Vec<String> = caption.into_iter().collect();
        for file in files {
            let Some(link) = file.link() else {
                return Err(Failure::Refused("the network takes no files".into()));
            };
            lines.push(format!("{}: {link}", file.name));
        }
        let as_text = serde_json::json!({ "body": lines.join("\n") });
        Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?))
    }

    /// The file that an event, or a gallery's item, has.
    pub(super) fn read_media(&self, content: &Value, sticker: bool, mxc: &str) -> Media {
        let info = content.get("info").cloned().unwrap_or_default();
        let number = |key: &str| info.get(key).and_then(Value::as_u64);
        let side = |key: &str| number(key).and_then(|side| u32::try_from(side).ok());
        let voice = content.get("org.matrix.msc3245.voice").is_some();
        let msgtype = content.get("msgtype").or_else(|| content.get("itemtype"));
        let kind = match msgtype.and_then(Value::as_str).unwrap_or_default() {
            _ if sticker => MediaKind::Sticker { pack: None },
            "m.image" => MediaKind::Image,
            // As mautrix bridges say it, and this one of films that are shown like pictures.
            "m.video" if info["fi.mau.gif"] == true => MediaKind::Gif,
            "m.video" => MediaKind::Video,
            "m.audio" if voice => {
                let waveform =
                    content.pointer("/org.matrix.msc1767.audio/waveform").and_then(Value::as_array);
                // Matrix counts to 1024, networks to 255.
                let level = |level: &Value| (level.as_u64().unwrap_or(0) / 4).min(255) as u8;
                MediaKind::Voice { waveform: waveform.into_iter().flatten().map(level).collect() }
            }
            "m.audio" => MediaKind::Audio,
            _ => MediaKind::File,
        };
        let filename = content.get("filename").and_then(Value::as_str).map(ToOwned::to_owned);
        Media {
            mxc: mxc.to_owned(),
            kind,
            name: filename.unwrap_or_else(|| text(content, "body")),
            mime: info.get("mimetype").and_then(Value::as_str).map(ToOwned::to_owned),
            size: number("size"),
            dimensions: side("w").zip(side("h")),
            duration: number("duration").map(std::time::Duration::from_millis),
            caption: None,
            spoiler: content
                .get("page.codeberg.everypizza.msc4193.spoiler")
                .or_else(|| content.get("m.spoiler"))
                .is_some_and(|spoiler| *spoiler != Value::Bool(false) && !spoiler.is_null()),
            access: self.media.clone(),
        }
    }
}

/// A file, if the network takes it.
pub(super) fn taken(media: Media, caps: &MediaCaps) -> Result<Media, Failure> {
    if caps.max_size > 0 && media.size.is_some_and(|size| size > caps.max_size) {
        return Err(Failure::Refused(format!(
            "the network takes files of at most {} bytes",
            caps.max_size
        )));
    }
    let mime = media.mime.as_deref().unwrap_or_default();
    let fits = |pattern: &&str| match pattern.strip_suffix("/*") {
        Some(group) => mime.split('/').next() == Some(group),
        None => *pattern == mime,
    };
    if !caps.mimes.is_empty() && !caps.mimes.iter().any(fits) {
        return Err(Failure::Refused(format!("the network takes no files of type {mime}")));
    }
    Ok(media)
}

/// `geo:LAT,LON` (RFC 5870), as `m.location` has it.
pub(super) fn read_geo(content: &Value) -> Option<Geo> {
    let uri = content.get("geo_uri").and_then(Value::as_str)?;
    let name = content.get("body").and_then(Value::as_str).map(ToOwned::to_owned);
    geo_of(uri, name)
}

/// The place of a `geo:` URI.
pub(super) fn geo_of(uri: &str, name: Option<String>) -> Option<Geo> {
    let uri = uri.strip_prefix("geo:")?;
    let mut numbers = uri.split([',', ';']).map(str::parse::<f64>);
    let (lat, lon) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Geo { lat, lon, name })
}
