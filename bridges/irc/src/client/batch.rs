//! IRCv3 "Batch": lines that belong together (a netsplit, a stretch of history, the answer to one command).

use std::collections::HashMap;

use crate::message::Message;

/// The most batches open at once; a server that opens more is answered by forgetting the batch, not by growing.
const MAX_OPEN: usize = 64;

/// An open batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// `netsplit`, `netjoin`, `chathistory`, `labeled-response`, ...
    pub kind: String,
    /// Its parameters: for history the channel, for a netsplit the two servers.
    pub params: Vec<String>,
    /// The label of the command it answers.
    pub label: Option<String>,
    parent: Option<String>,
}

/// The batches open on a connection.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: HashMap<String, Batch>,
}

/// What a BATCH line did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BatchLine {
    Opened(String),
    Closed(String, Batch),
    Ignored,
}

impl Batches {
    /// Takes a BATCH line.
    pub(crate) fn on_batch(&mut self, line: &Message) -> BatchLine {
        let reference = line.param(0);
        if let Some(name) = reference.strip_prefix('+') {
            if self.open.len() >= MAX_OPEN || name.is_empty() {
                return BatchLine::Ignored;
            }
            let batch = Batch {
                kind: line.param(1).to_owned(),
                params: line.params.iter().skip(2).cloned().collect(),
                label: line.tag("label").map(str::to_owned),
                parent: line.tag("batch").map(str::to_owned),
            };
            self.open.insert(name.to_owned(), batch);
            return BatchLine::Opened(name.to_owned());
        }
        let Some(name) = reference.strip_prefix('-') else {
            return BatchLine::Ignored;
        };
        self.open
            .remove(name)
            .map_or(BatchLine::Ignored, |batch| BatchLine::Closed(name.to_owned(), batch))
    }

    /// The batch a line stands in, with its reference.
    pub(crate) fn of<'a>(&'a self, line: &'a Message) -> Option<(&'a str, &'a Batch)> {
        let reference = line.tag("batch")?;
        self.open.get(reference).map(|batch| (reference, batch))
    }

    /// The label a line answers: its own, or that of a batch around it.
    pub(crate) fn label_of<'a>(&'a self, line: &'a Message) -> Option<&'a str> {
        if let Some(label) = line.tag("label") {
            return Some(label);
        }
        let mut reference = line.tag("batch")?;
        // Bounded by the number of open batches, whatever circle a server makes of them.
        for _ in 0..MAX_OPEN {
            let batch = self.open.get(reference)?;
            if let Some(label) = &batch.label {
                return Some(label);
            }
            reference = batch.parent.as_deref()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Message {
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn follows_nested_batches_to_their_label() {
        let mut batches = Batches::default();
        assert_eq!(
            batches.on_batch(&line("@label=7 :s BATCH +a labeled-response")),
            BatchLine::Opened("a".into())
        );
        batches.on_batch(&line("@batch=a :s BATCH +b chathistory #c"));
        let inner = line("@batch=b :n PRIVMSG #c :hi");
        assert_eq!(batches.label_of(&inner), Some("7"));
        assert_eq!(
            batches.of(&inner).map(|(r, b)| (r, b.kind.as_str(), b.params[0].as_str())),
            Some(("b", "chathistory", "#c"))
        );
        assert!(
            matches!(batches.on_batch(&line(":s BATCH -b")), BatchLine::Closed(name, _) if name == "b")
        );
        assert_eq!(batches.label_of(&inner), None);
        assert_eq!(batches.on_batch(&line(":s BATCH -nope")), BatchLine::Ignored);
    }

    #[test]
    fn survives_circles_and_floods() {
        let mut batches = Batches::default();
        batches.on_batch(&line("@batch=b :s BATCH +a x"));
        batches.on_batch(&line("@batch=a :s BATCH +b x"));
        assert_eq!(batches.label_of(&line("@batch=a :n PRIVMSG #c :hi")), None);
        for n in 0..200 {
            batches.on_batch(&line(&format!(":s BATCH +n{n} x")));
        }
        assert_eq!(batches.open.len(), MAX_OPEN);
    }
}
