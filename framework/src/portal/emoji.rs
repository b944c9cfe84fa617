//! Small pictures: the network's own emoji, both ways, in texts and as reactions; of link previews; of single messages' names.
//! Each is uploaded once, however often it is used; an emoji's is known again when somebody on Matrix uses it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::convert::Case;
use crate::{
    engine::{Engine, Failure},
    event::{Emoji, LinkPreview, MediaRef, MessageProfile},
    format::{self, Rich, Style},
    store::{Batch, EmojiRow, StoreError},
};

/// How many different emoji of one text get their picture; the others stay names.
const PER_TEXT: usize = 100;

/// How many links of one text are shown with what they lead to.
const PREVIEWS: usize = 10;

/// A short name without its colons.
fn bare(name: &str) -> &str {
    name.trim().trim_matches(':')
}

impl Engine {
    /// The picture of an emoji, on Matrix. `None`: it can't be had.
    async fn emoji_mxc(
        &self,
        case: &Case<'_>,
        id: &str,
        shortcode: &str,
        media: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let known = self.store.emoji(id).await?;
        let Some(source) = media else { return Ok(known.map(|known| known.mxc)) };
        if let Some(known) = &known
            && known.source.as_deref() == Some(source)
        {
            return Ok(Some(known.mxc.clone()));
        }
        let Some(mxc) = self.picture(case, source, shortcode).await? else {
            return Ok(known.map(|known| known.mxc));
        };
        let row = EmojiRow {
            id: id.to_owned(),
            shortcode: shortcode.to_owned(),
            source: Some(source.to_owned()),
            mxc: mxc.clone(),
        };
        // By itself, ahead of what uses it: it is true whatever becomes of that.
        let mut batch = Batch::new();
        batch.save_emoji(&row, self.now());
        self.store.commit(batch).await?;
        Ok(Some(mxc))
    }

    /// A small picture that goes with something that was said. It must not hold that up for long, nor silence it.
    pub(super) async fn picture(
        &self,
        case: &Case<'_>,
        source: &str,
        name: &str,
    ) -> Result<Option<String>, Failure> {
        let media = MediaRef(source.to_owned());
        match self.upload(&media, Some(case.via), Some(name), None).await {
            Ok(uploaded) => Ok(Some(uploaded.mxc)),
            Err(failure) if failure.is_outage() || failure.is_temporary() && case.patient => {
                Err(failure)
            }
            Err(failure) => {
                tracing::warn!(name, error = %failure, "a small picture can't be had");
                Ok(None)
            }
        }
    }

    /// How a reaction looks on Matrix: the emoji itself, a picture's address (MSC4027), or its name.
    pub(super) async fn reaction_key(
        &self,
        case: &Case<'_>,
        emoji: &Emoji,
    ) -> Result<String, Failure> {
        match emoji {
            Emoji::Unicode(text) => Ok(text.clone()),
            Emoji::Custom { id, shortcode, media } => {
                let media = media.as_ref().map(|media| media.0.as_str());
                let mxc = self.emoji_mxc(case, id, bare(shortcode), media).await?;
                Ok(mxc.unwrap_or_else(|| format!(":{}:", bare(shortcode))))
            }
        }
    }

    /// A text with pictures in the place of the network's emoji.
    pub(super) async fn with_emoji(&self, case: &Case<'_>, rich: &mut Rich) -> Result<(), Failure> {
        let mut found: HashMap<String, Option<String>> = HashMap::new();
        for span in rich.spans() {
            if let Style::RemoteEmoji { id, media } = &span.style
                && found.len() < PER_TEXT
                && !found.contains_key(id)
            {
                let name = bare(&rich.text()[span.range.clone()]);
                let mxc = self.emoji_mxc(case, id, name, media.as_deref()).await?;
                found.insert(id.clone(), mxc);
            }
        }
        rich.resolve_emoji(|style, _| match style {
            Style::RemoteEmoji { id, .. } => {
                found.get(id).cloned().flatten().map(|mxc| Style::Emoji { mxc })
            }
            style => Some(style.clone()),
        });
        Ok(())
    }

    /// A text with the network's emoji in the place of their pictures; other pictures stay what they are.
    pub(super) async fn with_remote_emoji(&self, rich: &mut Rich) -> Result<(), Failure> {
        let mut found: HashMap<String, Option<String>> = HashMap::new();
        for span in rich.spans() {
            if let Style::Emoji { mxc } = &span.style
                && found.len() < PER_TEXT
                && !found.contains_key(mxc)
            {
                let known = self.store.emoji_of_mxc(mxc).await?;
                found.insert(mxc.clone(), known.map(|known| known.id));
            }
        }
        rich.resolve_emoji(|style, _| match style {
            Style::Emoji { mxc } => {
                let id = found.get(mxc).cloned().flatten();
                Some(id.map_or_else(|| style.clone(), |id| Style::RemoteEmoji { id, media: None }))
            }
            style => Some(style.clone()),
        });
        Ok(())
    }

    /// What a reaction from Matrix is on the network.
    pub(super) async fn emoji_of(&self, content: &Value) -> Result<Emoji, StoreError> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(ToOwned::to_owned);
        let key = text(content.pointer("/m.relates_to/key")).unwrap_or_default();
        let name = text(content.get("shortcode"))
            .or_else(|| text(content.get("com.beeper.reaction.shortcode")));
        let name = name.as_deref().map(bare).filter(|name| !name.is_empty());
        let is_picture = key.starts_with("mxc://");
        let is_code = key.len() > 2 && key.starts_with(':') && key.ends_with(':');
        if !is_picture && !is_code {
            return Ok(Emoji::Unicode(key));
        }
        let mut known = None;
        if is_picture {
            known = self.store.emoji_of_mxc(&key).await?;
        }
        let called = if is_picture { name } else { Some(bare(&key)) };
        if known.is_none()
            && let Some(called) = called
        {
            known = self.store.emoji_called(called).await?;
        }
        if let Some(known) = known {
            return Ok(custom(known));
        }
        if !is_picture {
            return Ok(Emoji::Unicode(key));
        }
        // The network may know one of that name though we have never seen it.
        let called = called.unwrap_or(&key).to_owned();
        Ok(Emoji::Custom { id: called.clone(), shortcode: called, media: Some(MediaRef(key)) })
    }

    /// The emoji that the database keeps under an identifier.
    pub(super) async fn emoji_named(&self, id: &str) -> Result<Emoji, StoreError> {
        Ok(match self.store.emoji(id).await? {
            Some(known) => custom(known),
            None => Emoji::Unicode(id.to_owned()),
        })
    }

    /// The network took a reaction with an emoji: its picture is known from now on.
    pub(super) fn learn_emoji(&self, batch: &mut Batch, emoji: &Emoji) {
        if let Emoji::Custom { id, shortcode, media: Some(media) } = emoji
            && media.0.starts_with("mxc://")
        {
            let row = EmojiRow {
                id: id.clone(),
                shortcode: shortcode.clone(),
                source: None,
                mxc: media.0.clone(),
            };
            batch.learn_emoji(&row, self.now());
        }
    }

    /// Says what the links of a text lead to (as mautrix bridges and their clients have it).
    pub(super) async fn with_previews(
        &self,
        case: &Case<'_>,
        previews: &[LinkPreview],
        content: &mut Value,
    ) -> Result<(), Failure> {
        let mut shown = Vec::new();
        for preview in previews.iter().take(PREVIEWS) {
            let mut said = json!({ "matched_url": preview.url, "og:url": preview.url });
            if let Some(title) = &preview.title {
                said["og:title"] = title.clone().into();
            }
            if let Some(description) = &preview.description {
                said["og:description"] = description.clone().into();
            }
            if let Some(image) = &preview.image
                && let Some(mxc) = self.picture(case, &image.0, "preview").await?
            {
                said["og:image"] = mxc.into();
            }
            shown.push(said);
        }
        content["com.beeper.linkpreviews"] = shown.into();
        Ok(())
    }

    /// Puts the name and picture of one message on it (MSC4144, by the name that clients know), and the name before its
    /// text for those that don't.
    pub(super) async fn under_profile(
        &self,
        case: &Case<'_>,
        profile: &MessageProfile,
        content: &mut Value,
    ) -> Result<(), Failure> {
        let name: String = profile.name.chars().filter(|c| !c.is_control()).take(255).collect();
        if name.trim().is_empty() {
            return Ok(());
        }
        let avatar = match &profile.avatar {
            Some(avatar) => self.picture(case, &avatar.0, "avatar").await?,
            None => None,
        };
        let spoken = matches!(
            content.get("msgtype").and_then(Value::as_str),
            Some("m.text" | "m.notice" | "m.emote")
        );
        if spoken {
            let body = content.get("body").and_then(Value::as_str).unwrap_or_default().to_owned();
            let html = content.get("formatted_body").and_then(Value::as_str);
            let html = html.map_or_else(|| format::to_html(&Rich::plain(&*body)), str::to_owned);
            let shown = format::to_html(&Rich::plain(&*name));
            content["format"] = "org.matrix.custom.html".into();
            content["formatted_body"] =
                format!("<strong data-mx-profile-fallback>{shown}: </strong>{html}").into();
            content["body"] = format!("{name}: {body}").into();
        }
        let mut shown = json!({ "id": profile.id, "displayname": name, "has_fallback": spoken });
        if let Some(avatar) = avatar {
            shown["avatar_url"] = avatar.into();
        }
        content["com.beeper.per_message_profile"] = shown;
        Ok(())
    }
}

fn custom(known: EmojiRow) -> Emoji {
    let media = known.source.unwrap_or(known.mxc);
    Emoji::Custom { id: known.id, shortcode: known.shortcode, media: Some(MediaRef(media)) }
}
