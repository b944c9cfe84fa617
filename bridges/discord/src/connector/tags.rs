//! The tags of a forum's posts: a new post takes them from the last line of what is said, if that is nothing but tags, as `#help #feature-request`.

use landbridge_framework::{
    format::Rich,
    handlers::{In, SendError, Via},
};

use super::Discord;
use crate::{
    ids::{Id, Place},
    wire::Tag,
};

/// How many tags a post may carry.
const MOST: usize = 5;

/// A name as it is compared: without what can't stand in a word that begins with `#`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A tag as it is written.
fn written(tag: &Tag) -> String {
    let words: Vec<&str> = tag.name.split(|c: char| !c.is_alphanumeric()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("#{}", words.join("-").to_lowercase())
}

/// Those that a post from here may carry: what only moderators may give is not for everybody, and what has no word can't be written.
fn usable(tags: &[Tag]) -> impl Iterator<Item = &Tag> {
    tags.iter().filter(|tag| !tag.moderated && !plain(&tag.name).is_empty())
}

/// The tags that may be given, in words.
pub(super) fn list(tags: &[Tag]) -> String {
    let all: Vec<String> = usable(tags).map(|tag| format!("`{}`", written(tag))).collect();
    if all.is_empty() { "none that may be given from here".into() } else { all.join(", ") }
}

/// Takes the tags from the last line of a text, if that is nothing but tags of this forum.
pub(super) fn take(text: &Rich, tags: &[Tag]) -> (Rich, Vec<Id>) {
    let body = text.text().trim_end();
    let at = body.rfind('\n').map_or(0, |at| at + 1);
    let find = |word: &str| {
        let name = plain(word.strip_prefix('#')?);
        usable(tags).find(|tag| plain(&tag.name) == name).map(|tag| tag.id)
    };
    let found: Option<Vec<Id>> = body[at..].split_whitespace().map(find).collect();
    let Some(mut found) = found.filter(|found| !found.is_empty()) else {
        return (text.clone(), Vec::new());
    };
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|id| seen.insert(*id));
    found.truncate(MOST);
    let above = text.slice(0..at).trimmed();
    // Tags alone are still something that is said.
    (if above.is_empty() { text.clone() } else { above }, found)
}

/// The tags of the forum whose room it is.
pub(super) async fn command(
    Via(client): Via<Discord>,
    In(at, _): In<Discord>,
) -> Result<String, SendError> {
    let cache = client.hub.cache();
    let forum = match at.id {
        Place::Channel(id) | Place::Posts(id) => cache.channel(id).map(|(_, channel)| channel),
        Place::Guild(_) => None,
    };
    let Some(forum) = forum.filter(|channel| channel.kind.is_forum()) else {
        return Err(SendError::refused("this is not the room of a forum on Discord"));
    };
    let must = if forum.requires_tag() { "must" } else { "may" };
    Ok(format!(
        "A new post {must} end with a line of tags, up to {MOST}. There are {}.",
        list(&forum.available_tags)
    ))
}

#[cfg(test)]
mod tests {
    use landbridge_framework::format::Style;

    use super::*;

    fn tags() -> Vec<Tag> {
        let tag = |id, name: &str, moderated| Tag { id: Id(id), name: name.into(), moderated };
        vec![
            tag(1, "Help", false),
            tag(2, "Feature request!", false),
            tag(3, "Solved", true),
            tag(4, "🎉", false),
        ]
    }

    fn taken(text: &str) -> (String, Vec<u64>) {
        let (text, ids) = take(&Rich::plain(text), &tags());
        (text.into_text(), ids.into_iter().map(|id| id.0).collect())
    }

    #[test]
    fn a_last_line_of_tags_is_taken_from_the_text() {
        assert_eq!(taken("Why?\nIt broke.\n#help"), ("Why?\nIt broke.".into(), vec![1]));
        assert_eq!(taken("Why?\n\n#Feature-Request #help #HELP\n"), ("Why?".into(), vec![2, 1]));
        assert_eq!(taken("#help"), ("#help".into(), vec![1]), "there is nothing else");
        for stays in ["#help me", "#unknown", "#solved", "help", "# #", "Why?\n#help, please", ""] {
            assert_eq!(taken(stays), (stays.to_owned(), vec![]), "{stays}");
        }
        assert_eq!(list(&tags()), "`#help`, `#feature-request`");
        assert_eq!(list(&[]), "none that may be given from here");
    }

    #[test]
    fn what_is_above_keeps_its_marks() {
        let mut text = Rich::new();
        text.push_styled("Why?", Style::Bold);
        text.push("\n#help");
        let (text, _) = take(&text, &tags());
        assert_eq!(text.text(), "Why?");
        assert_eq!(text.spans().len(), 1);
        assert_eq!(text.spans()[0].style, Style::Bold);
    }
}
