//! Embeds: boxes that programs write, and what Discord shows of links.

use serde::Deserialize;

use super::lax;

/// An embed (API reference, "Embed Object").
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Embed {
    /// `rich`, `image`, `video`, `gifv`, `article`, `link`, `poll_result`.
    #[serde(rename = "type", deserialize_with = "lax::value")]
    pub kind: Option<String>,
    /// Its title.
    #[serde(deserialize_with = "lax::value")]
    pub title: Option<String>,
    /// Its text.
    #[serde(deserialize_with = "lax::value")]
    pub description: Option<String>,
    /// Where the title leads; of a link's preview, the link.
    #[serde(deserialize_with = "lax::value")]
    pub url: Option<String>,
    /// A time, as ISO 8601 has it.
    #[serde(deserialize_with = "lax::value")]
    pub timestamp: Option<String>,
    /// What stands at its end.
    #[serde(deserialize_with = "lax::value")]
    pub footer: Option<EmbedFooter>,
    /// Its picture.
    #[serde(deserialize_with = "lax::value")]
    pub image: Option<EmbedMedia>,
    /// Its small picture.
    #[serde(deserialize_with = "lax::value")]
    pub thumbnail: Option<EmbedMedia>,
    /// Its film.
    #[serde(deserialize_with = "lax::value")]
    pub video: Option<EmbedMedia>,
    /// Which site it is of.
    #[serde(deserialize_with = "lax::value")]
    pub provider: Option<EmbedAuthor>,
    /// Who wrote it.
    #[serde(deserialize_with = "lax::value")]
    pub author: Option<EmbedAuthor>,
    /// Its table.
    #[serde(deserialize_with = "lax::list")]
    pub fields: Vec<EmbedField>,
}

/// What stands at an embed's end.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EmbedFooter {
    /// The words.
    #[serde(deserialize_with = "lax::value")]
    pub text: String,
}

/// A picture or film of an embed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EmbedMedia {
    /// Where it came from.
    #[serde(deserialize_with = "lax::value")]
    pub url: Option<String>,
    /// Discord's copy.
    #[serde(deserialize_with = "lax::value")]
    pub proxy_url: Option<String>,
    /// In pixels.
    #[serde(deserialize_with = "lax::value")]
    pub width: Option<u32>,
    /// In pixels.
    #[serde(deserialize_with = "lax::value")]
    pub height: Option<u32>,
    /// Its media type.
    #[serde(deserialize_with = "lax::value")]
    pub content_type: Option<String>,
}

/// An embed's author or provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EmbedAuthor {
    /// The name.
    #[serde(deserialize_with = "lax::value")]
    pub name: Option<String>,
    /// A page of theirs.
    #[serde(deserialize_with = "lax::value")]
    pub url: Option<String>,
}

/// A row of an embed's table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EmbedField {
    /// What it is about.
    #[serde(deserialize_with = "lax::value")]
    pub name: String,
    /// What there is to say.
    #[serde(deserialize_with = "lax::value")]
    pub value: String,
}
