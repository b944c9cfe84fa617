//! Writing JSON by appending text.
//!
//! Answers of `/sync`, `/messages` and `/members` are mostly events whose bytes already exist; building a tree of values around
//! them would cost more than all the rest of the request. What is appended as `raw` must be valid JSON itself.

/// A JSON text that grows. Commas are put where they belong.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
}

/// A section of events that is open.
#[derive(Clone, Copy, Debug)]
#[must_use = "it has to be closed"]
pub struct Section {
    before: usize,
    inside: usize,
}

impl Writer {
    /// An empty text with space for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes) }
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.out
    }

    /// What is written so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// The text itself, after a comma where one belongs, for whoever appends a whole value.
    pub fn value(&mut self) -> &mut String {
        self.comma();
        &mut self.out
    }

    /// Bytes written so far; with [`Writer::truncate`] an empty section can be taken back.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Goes back to a length that [`Writer::len`] gave.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    fn comma(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }

    /// Opens an object, as a value or an element.
    pub fn open(&mut self) {
        self.comma();
        self.out.push('{');
    }

    /// Closes an object.
    pub fn close(&mut self) {
        self.out.push('}');
    }

    /// Opens a list, as a value or an element.
    pub fn open_list(&mut self) {
        self.comma();
        self.out.push('[');
    }

    /// Closes a list.
    pub fn close_list(&mut self) {
        self.out.push(']');
    }

    /// The key of the next value.
    pub fn key(&mut self, key: &str) {
        self.comma();
        quote(&mut self.out, key);
        self.out.push(':');
    }

    /// `"key":{`
    pub fn open_at(&mut self, key: &str) {
        self.key(key);
        self.out.push('{');
    }

    /// `"key":[`
    pub fn open_list_at(&mut self, key: &str) {
        self.key(key);
        self.out.push('[');
    }

    /// `"key":{"events":[`, to be closed with [`Writer::close_events`].
    pub fn open_events(&mut self, key: &str) -> Section {
        let before = self.len();
        self.open_at(key);
        self.open_list_at("events");
        Section { before, inside: self.len() }
    }

    /// Closes a section of events, or takes it back when none came.
    pub fn close_events(&mut self, section: Section) {
        if self.len() == section.inside {
            self.truncate(section.before);
        } else {
            self.close_list();
            self.close();
        }
    }

    /// A text, as a value or an element.
    pub fn text(&mut self, text: &str) {
        self.comma();
        quote(&mut self.out, text);
    }

    /// A whole number.
    pub fn int(&mut self, number: i64) {
        use std::fmt::Write as _;
        self.comma();
        // Writing to a String can't fail.
        let _ = write!(self.out, "{number}");
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.comma();
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// JSON that exists already.
    pub fn raw(&mut self, json: &str) {
        self.comma();
        self.out.push_str(json);
    }
}

/// Appends `text` as a JSON string.
pub fn quote(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    out.reserve(text.len() + 2);
    out.push('"');
    let mut plain = 0;
    for (i, byte) in text.bytes().enumerate() {
        // Only ASCII is ever escaped, so `i` is always between two characters.
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..i]);
        out.push_str(escape);
        if escape.is_empty() {
            // Writing to a String can't fail.
            let _ = write!(out, "\\u{byte:04x}");
        }
        plain = i + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut out = String::new();
            quote(&mut out, &text);
            let read: String = serde_json::from_str(&out).expect("a JSON string");
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn commas_stand_between_and_nowhere_else() {
        let mut w = Writer::with_capacity(64);
        w.open();
        w.key("n");
        w.int(-3);
        w.open_at("o");
        w.open_list_at("l");
        w.text("a");
        w.raw(r#"{"x":1}"#);
        w.bool(true);
        w.open();
        w.close();
        w.close_list();
        w.close();
        w.key("e");
        w.open_list();
        w.close_list();
        w.close();
        assert_eq!(w.into_string(), r#"{"n":-3,"o":{"l":["a",{"x":1},true,{}]},"e":[]}"#);
    }

    #[test]
    fn an_empty_section_is_taken_back() {
        let mut w = Writer::default();
        w.open();
        let mark = w.len();
        w.open_at("events");
        w.close();
        w.truncate(mark);
        w.close();
        assert_eq!(w.as_str(), "{}");
    }

    #[test]
    fn a_section_stays_when_an_event_came() {
        let mut w = Writer::default();
        w.open();
        let none = w.open_events("none");
        w.close_events(none);
        let one = w.open_events("one");
        w.raw("{}");
        w.close_events(one);
        w.close();
        assert_eq!(w.as_str(), r#"{"one":{"events":[{}]}}"#);
    }
}
