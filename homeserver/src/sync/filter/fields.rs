//! `event_fields`: which fields of events a client wants.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A tree of wanted fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    root: Node,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Node {
    /// Wanted with all that is in it.
    whole: bool,
    below: BTreeMap<Box<str>, Node>,
}

impl FieldSet {
    /// From paths whose parts are separated by dots; a dot or a backslash in a name is escaped by a backslash.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for path in paths {
            let mut node = &mut set.root;
            for part in split(path) {
                node = node.below.entry(part.into()).or_default();
            }
            node.whole = true;
        }
        set
    }

    /// The event with nothing but the wanted fields. What is no object comes back as it was.
    pub fn apply(&self, event: &str) -> String {
        match serde_json::from_str::<Value>(event) {
            Ok(Value::Object(fields)) => {
                let kept = Value::Object(keep(&self.root, fields));
                kept.to_string()
            }
            _ => event.to_owned(),
        }
    }
}

fn keep(node: &Node, fields: Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in fields {
        let Some(below) = node.below.get(key.as_str()) else { continue };
        if below.whole {
            kept.insert(key, value);
        } else if let Value::Object(inner) = value {
            let inner = keep(below, inner);
            if !inner.is_empty() {
                kept.insert(key, Value::Object(inner));
            }
        }
    }
    kept
}

fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if matches!(chars.peek(), Some('.' | '\\')) => {
                if let (Some(escaped), Some(part)) = (chars.next(), parts.last_mut()) {
                    part.push(escaped);
                }
            }
            '.' => parts.push(String::new()),
            other => {
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(paths: &[&str], event: &str) -> String {
        FieldSet::new(paths.iter().copied()).apply(event)
    }

    #[test]
    fn only_the_named_fields_stay() {
        let event = r#"{"content":{"body":"b","formatted_body":"f","m.relates_to":{"a":1}},"sender":"s","type":"t"}"#;
        assert_eq!(
            apply(&["content.body", "sender"], event),
            r#"{"content":{"body":"b"},"sender":"s"}"#
        );
        assert_eq!(
            apply(&[r"content.m\.relates_to"], event),
            r#"{"content":{"m.relates_to":{"a":1}}}"#
        );
        assert_eq!(
            apply(&["content", "content.body"], event).len(),
            event.len() - r#","sender":"s","type":"t""#.len()
        );
        assert_eq!(apply(&["sender.deeper", "nothing"], event), "{}");
        assert_eq!(apply(&[], event), "{}");
    }
}
