//! What a page says of itself: the `OpenGraph` and Twitter properties of its head, and where there are none, its title and
//! first words.
//!
//! The tokens of the page are looked at as they come, without a tree: a page can be as deep or as broken as it likes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// Properties that are taken from one page.
const MAX_PROPERTIES: usize = 50;
/// Characters of a property's value.
const MAX_VALUE: usize = 1_000;
/// Characters of text that are gathered for a description.
const MAX_TEXT: usize = 2_000;
/// Characters of a description that is made of the page's text.
const MAX_DESCRIPTION: usize = 300;
/// Bytes that the tokenizer is given at once.
const CHUNK: usize = 8 << 10;
/// How often it may be given more without anything coming out.
const MAX_STALLED: usize = 8;
/// Paragraphs shorter than this are menus and buttons.
const MIN_PARAGRAPH: usize = 40;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// `og:` properties, the first of each.
    pub(super) properties: BTreeMap<String, String>,
    twitter: BTreeMap<String, String>,
    title: Option<String>,
    description: Option<String>,
    /// The first paragraph worth the name.
    paragraph: Option<String>,
    /// The first heading.
    heading: Option<String>,
    /// A picture that stands for the page: `<link rel="image_src">`.
    picture: Option<String>,
    /// The base of relative URLs, if the page sets one.
    pub(super) base: Option<String>,
    /// Where the page is described as JSON (oEmbed).
    pub(super) oembed: Option<String>,
}

impl Page {
    /// Reads a page, or the beginning of one.
    pub(super) fn parse(html: &str) -> Self {
        let sink = Sink::default();
        let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
        let input = BufferQueue::default();
        let (mut rest, mut stalled) = (html, 0);
        // The tokenizer compares each attribute of a tag with all before it; a tag that doesn't end is given up.
        while !rest.is_empty() && stalled < MAX_STALLED {
            let (chunk, more) = rest.split_at(rest.floor_char_boundary(CHUNK.min(rest.len())));
            rest = more;
            let before = tokenizer.sink.0.borrow().tokens;
            input.push_back(StrTendril::from_slice(chunk));
            // The sink asks for nothing that would stop it.
            let _ = tokenizer.feed(&input);
            let after = tokenizer.sink.0.borrow().tokens;
            stalled = if after == before { stalled + 1 } else { 0 };
        }
        if stalled < MAX_STALLED {
            tokenizer.end();
        }
        tokenizer.sink.0.into_inner().page
    }

    /// Fills in what the properties leave open from the rest of the page.
    pub(super) fn complete(&mut self) {
        let or = |first: Option<&String>, second: Option<&String>| first.or(second).cloned();
        let title = or(self.twitter.get("title"), self.title.as_ref()).or(self.heading.take());
        let description = or(self.twitter.get("description"), self.description.as_ref())
            .or_else(|| self.paragraph.as_deref().map(shorten));
        let image = or(self.twitter.get("image"), self.twitter.get("image:src"))
            .or_else(|| self.picture.clone());
        for (key, value) in
            [("og:title", title), ("og:description", description), ("og:image", image)]
        {
            if let Some(value) = value {
                self.properties.entry(key.to_owned()).or_insert(value);
            }
        }
    }

    /// The page's picture, in the order of preference.
    pub(super) fn image(&self) -> Option<&str> {
        ["og:image:secure_url", "og:image", "og:image:url"]
            .iter()
            .find_map(|key| self.properties.get(*key))
            .map(String::as_str)
    }

    fn meta(&mut self, tag: &Tag) {
        let Some(content) = attribute(tag, "content").map(|text| clean(&text, MAX_VALUE)) else {
            return;
        };
        let Some(name) = attribute(tag, "property").or_else(|| attribute(tag, "name")) else {
            return;
        };
        if content.is_empty() || name.len() > 100 {
            return;
        }
        let name = name.trim().to_lowercase();
        // Some pages put OpenGraph under `name` and Twitter under `property`; both are meant the same.
        if name.starts_with("og:") {
            if self.properties.len() < MAX_PROPERTIES {
                self.properties.entry(name).or_insert(content);
            }
        } else if let Some(key) = name.strip_prefix("twitter:") {
            if self.twitter.len() < MAX_PROPERTIES {
                self.twitter.entry(key.to_owned()).or_insert(content);
            }
        } else if name == "description" {
            self.description.get_or_insert(content);
        }
    }

    fn link(&mut self, tag: &Tag) {
        let Some(href) = attribute(tag, "href").filter(|href| href.len() <= 2_048) else { return };
        let rel = attribute(tag, "rel").unwrap_or_default().to_lowercase();
        let mut rels = rel.split_ascii_whitespace();
        let kind = attribute(tag, "type").unwrap_or_default().to_lowercase();
        if kind == "application/json+oembed" {
            self.oembed.get_or_insert(href);
        } else if rels.any(|rel| rel == "image_src") {
            self.picture.get_or_insert(href);
        }
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name)?;
    Some(found.value.to_string())
}

/// Text in one line, without controls, at most so many characters of it.
pub(super) fn clean(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        for c in word.chars() {
            if count >= most {
                return out;
            }
            out.push(c);
            count += 1;
        }
    }
    out
}

/// The beginning of a text, up to the end of a word.
fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_DESCRIPTION {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MAX_DESCRIPTION).collect();
    let end = cut.rfind(' ').filter(|end| *end > MAX_DESCRIPTION / 2).unwrap_or(cut.len());
    format!("{}…", &cut[..end])
}

/// What text is being gathered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathering {
    Title,
    Heading,
    Paragraph,
}

#[derive(Default)]
struct State {
    page: Page,
    gathering: Option<Gathering>,
    text: String,
    /// Inside of what isn't shown.
    hidden: bool,
    /// How many tokens there were.
    tokens: usize,
}

#[derive(Default)]
struct Sink(RefCell<State>);

impl State {
    fn end_text(&mut self) {
        let Some(gathering) = self.gathering.take() else { return };
        let text = clean(&std::mem::take(&mut self.text), MAX_VALUE);
        if text.is_empty() {
            return;
        }
        match gathering {
            Gathering::Title => drop(self.page.title.get_or_insert(text)),
            Gathering::Heading => drop(self.page.heading.get_or_insert(text)),
            Gathering::Paragraph if text.chars().count() >= MIN_PARAGRAPH => {
                self.page.paragraph.get_or_insert(text);
            }
            Gathering::Paragraph => {}
        }
    }

    fn begin_text(&mut self, gathering: Gathering) {
        self.end_text();
        self.gathering = Some(gathering);
    }

    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            "meta" => self.page.meta(tag),
            "link" => self.page.link(tag),
            "base" => {
                if let Some(href) = attribute(tag, "href") {
                    self.page.base.get_or_insert(href);
                }
            }
            // Pictures may have titles of their own.
            "title" if self.page.title.is_none() => {
                self.begin_text(Gathering::Title);
                return TokenSinkResult::RawData(RawKind::Rcdata);
            }
            "title" | "textarea" => return TokenSinkResult::RawData(RawKind::Rcdata),
            "script" => return self.hide(RawKind::ScriptData),
            "style" | "noscript" | "noframes" | "iframe" | "xmp" => {
                return self.hide(RawKind::Rawtext);
            }
            "h1" if self.page.heading.is_none() => self.begin_text(Gathering::Heading),
            "p" if self.page.paragraph.is_none() => self.begin_text(Gathering::Paragraph),
            "div" | "section" | "article" | "header" | "footer" | "nav" | "ul" | "ol" | "table"
            | "body" => self.end_text(),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn hide(&mut self, kind: RawKind) -> TokenSinkResult<()> {
        self.hidden = true;
        TokenSinkResult::RawData(kind)
    }

    fn end(&mut self, name: &str) {
        match name {
            "script" | "style" | "noscript" | "noframes" | "iframe" | "xmp" => self.hidden = false,
            "title" | "h1" | "p" | "div" | "body" | "html" => self.end_text(),
            _ => {}
        }
    }
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.0.borrow_mut();
        state.tokens += 1;
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return state.start(&tag),
            Token::TagToken(tag) => state.end(&tag.name),
            Token::CharacterTokens(text)
                if state.gathering.is_some()
                    && !state.hidden
                    && state.text.len() < MAX_TEXT * 4 =>
            {
                state.text.push_str(&text);
            }
            Token::EOFToken => state.end_text(),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str) -> Page {
        let mut page = Page::parse(html);
        page.complete();
        page
    }

    #[test]
    fn opengraph_goes_first_then_twitter_then_the_page() {
        let page = read(
            r#"<html><head><title>The Rock (1996)</title>
            <meta property="og:title" content="The Rock"><meta property="og:title" content="Second">
            <meta name="og:type" content="video.movie">
            <meta name="twitter:title" content="Not this"><meta name="twitter:image" content="t.png">
            <meta name="Description" content=" A &amp; B
              c "></head>"#,
        );
        assert_eq!(page.properties["og:title"], "The Rock");
        assert_eq!(page.properties["og:type"], "video.movie");
        assert_eq!(page.properties["og:description"], "A & B c");
        assert_eq!(page.image(), Some("t.png"));
    }

    #[test]
    fn a_page_without_properties_is_told_by_its_words() {
        let long = "word ".repeat(100);
        let page = read(&format!(
            "<title>T &lt;1&gt;</title><style>p {{}}</style><script>var a = '<p>{long}</p>';</script>
             <svg><title>logo</title></svg><p>Menu</p><div><p>{long}<b>bold</b></p></div>"
        ));
        assert_eq!(page.properties["og:title"], "T <1>");
        let description = &page.properties["og:description"];
        assert!(description.starts_with("word word") && description.ends_with("word…"));
        assert!(description.chars().count() <= MAX_DESCRIPTION + 1);
        assert_eq!(read("").properties, BTreeMap::new());
        assert_eq!(read("<h1>Only <i>this").properties["og:title"], "Only this");
    }

    #[test]
    fn broken_and_endless_pages_are_read_all_the_same() {
        let deep = format!("{}<title>x</title>", "<div><p>".repeat(100_000));
        assert_eq!(read(&deep).properties["og:title"], "x");
        let endless: String =
            (0..200_000).flat_map(|n| ["a".to_owned(), n.to_string(), " ".to_owned()]).collect();
        let page =
            read(&format!("<title>x</title><b {endless}><meta property='og:type' content='y'>"));
        assert_eq!((page.properties.len(), &*page.properties["og:title"]), (1, "x"));
        let many: Vec<String> = (0..1_000)
            .map(|n| format!(r#"<meta property="og:x{n}" content="{}">"#, "y".repeat(5_000)))
            .collect();
        let page = read(&many.concat());
        assert_eq!(page.properties.len(), MAX_PROPERTIES);
        assert!(page.properties.values().all(|value| value.len() == MAX_VALUE));
        let found =
            read(r#"<link rel="alternate" type="application/json+oembed" href="/o?a=1&amp;b=2">"#);
        assert_eq!(found.oembed.as_deref(), Some("/o?a=1&b=2"));
    }
}
