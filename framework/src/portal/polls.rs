//! Polls on their way to Matrix (MSC3381): votes, how they stand, their ends. The options' names on both sides are kept, so
//! that votes find their poll whichever side it was started on.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    convert::{Case, Verdict, vote_key, votes_key},
    envelope::{MatrixOp, Outgoing, Record},
    reactions::reactor,
};
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Content, Poll, Sender},
    format::{self, Rich},
    network::MessageRef,
    plain::{Plain, PlainMeta},
    store::{Batch, MessageRow, PollOptionRow, PollRow},
};

/// The part of a poll's message that says how it stands.
pub(super) const RESULTS: &str = "~results";
/// Its place: behind all parts that the network knows.
const RESULTS_PLACE: i64 = 1 << 20;
/// MSC3381 lets at most 20 answers count: a poll with more is shown as text.
pub(super) const MAX_OPTIONS: usize = 20;

/// Whether Matrix can show a poll as one.
pub(super) fn is_showable(poll: &Poll) -> bool {
    (1..=MAX_OPTIONS).contains(&poll.options.len())
}

/// A poll in words.
pub(super) fn in_words(poll: &Poll) -> String {
    let mut words = poll.question.clone();
    for option in &poll.options {
        words.push_str("\n- ");
        words.push_str(&option.text);
    }
    words
}

/// What is kept of a poll of the network. What it is called on Matrix stays, where that is known.
pub(super) fn of_network(
    portal: i64,
    remote_id: &str,
    poll: &Poll,
    known: Option<&PollRow>,
) -> PollRow {
    let on_matrix = |id: &str| {
        let known = known.and_then(|known| known.options.iter().find(|old| old.remote == id));
        known.map_or_else(|| id.to_owned(), |old| old.matrix.clone())
    };
    let option = |option: &crate::event::PollOption| PollOptionRow {
        matrix: on_matrix(&option.id),
        remote: option.id.clone(),
        text: option.text.clone(),
    };
    PollRow {
        portal,
        remote_id: remote_id.to_owned(),
        options: poll.options.iter().take(MAX_OPTIONS).map(option).collect(),
        max_choices: (poll.max_choices.max(1) as usize).min(MAX_OPTIONS),
        counts: Vec::new(),
        ended: false,
    }
}

/// What is kept of a poll that was started on Matrix. `remote` are its options' ids on the network, in their order; where it
/// has none of its own, they are Matrix's.
pub(super) fn of_matrix(
    portal: i64,
    remote_id: &str,
    poll: &Poll,
    remote: Option<&[String]>,
) -> PollRow {
    let mut row = of_network(portal, remote_id, poll, None);
    for (option, id) in row.options.iter_mut().zip(remote.into_iter().flatten()) {
        option.remote.clone_from(id);
    }
    row
}

/// Votes in the order of a poll's options; unknown options are left out.
fn in_order(poll: &PollRow, counts: &[(String, u64)]) -> Vec<(String, u64)> {
    let count =
        |id: &str| counts.iter().find(|(option, _)| option == id).map_or(0, |(_, count)| *count);
    poll.options.iter().map(|option| (option.remote.clone(), count(&option.remote))).collect()
}

/// How a poll stands, in words.
fn standing(poll: &PollRow, counts: &[(String, u64)], ended: bool) -> String {
    let mut words = String::from(if ended { "The poll has ended:" } else { "Votes so far:" });
    for (option, (_, count)) in poll.options.iter().zip(counts) {
        // Writing to a string can't fail.
        let _ = write!(words, "\n- {}: {count}", option.text);
    }
    words
}

impl Engine {
    /// A part's content with the names that a poll's options have on Matrix.
    pub(super) async fn poll_for_matrix(
        &self,
        case: &Case<'_>,
        remote_id: &str,
        content: &Content,
        effects: &mut Batch,
    ) -> Result<Content, Failure> {
        let Content::Poll(poll) = content else { return Ok(content.clone()) };
        if !is_showable(poll) {
            return Ok(content.clone());
        }
        let known = self.store.poll(case.portal.id, remote_id).await?;
        let row = of_network(case.portal.id, remote_id, poll, known.as_ref());
        let mut poll = poll.clone();
        for (option, kept) in poll.options.iter_mut().zip(&row.options) {
            option.id.clone_from(&kept.matrix);
        }
        effects.save_poll(&row);
        Ok(Content::Poll(poll))
    }

    /// A poll of the network as it is on Matrix; otherwise what becomes of what is about it.
    async fn known_poll(
        self: &Arc<Self>,
        case: &Case<'_>,
        poll: &str,
    ) -> Result<Result<(MessageRow, PollRow), Verdict>, Failure> {
        let target = match self.target(case.portal, &MessageRef::whole(poll)).await? {
            Ok(target) => target,
            Err(verdict) => return Ok(Err(verdict)),
        };
        let known = self.store.poll(case.portal.id, poll).await?;
        Ok(match known {
            Some(known) => Ok((target, known)),
            None => Err(Verdict::Drop("the poll is shown as text")),
        })
    }

    pub(super) async fn convert_vote(
        self: &Arc<Self>,
        case: &Case<'_>,
        sender: &Sender<Plain>,
        poll: &str,
        choices: &[String],
    ) -> Result<Verdict, Failure> {
        let (target, known) = match self.known_poll(case, poll).await? {
            Ok(found) => found,
            Err(verdict) => return Ok(verdict),
        };
        let voter = reactor(&case.actor);
        let before = self.store.vote_of(case.portal.id, poll, &voter).await?;
        // What was voted from Matrix comes back from the network.
        if before.as_deref() == Some(choices) {
            return Ok(Verdict::Drop("the vote is there already"));
        }
        let chosen = known.options.iter().filter(|option| choices.contains(&option.remote));
        let answers: Vec<&str> =
            chosen.map(|option| option.matrix.as_str()).take(known.max_choices).collect();
        let content = json!({
            "m.relates_to": { "rel_type": "m.reference", "event_id": target.event_id },
            "org.matrix.msc3381.poll.response": { "answers": answers },
        });
        let kind = "org.matrix.msc3381.poll.response".into();
        let op = MatrixOp::Event { kind, content, file: None };
        let mut effects = Batch::new();
        effects.save_vote(case.portal.id, poll, &voter, choices);
        Ok(Verdict::Send {
            rows: vec![case.out("vote", op, Vec::new())],
            effects,
            opens: vec![vote_key(poll, sender), votes_key(poll)],
        })
    }

    pub(super) async fn convert_poll_results(
        self: &Arc<Self>,
        case: &Case<'_>,
        poll: &str,
        counts: &[(String, u64)],
        ended: bool,
    ) -> Result<Verdict, Failure> {
        let (target, known) = match self.known_poll(case, poll).await? {
            Ok(found) => found,
            Err(verdict) => return Ok(verdict),
        };
        let counts = in_order(&known, counts);
        if known.ended || counts == known.counts && !ended {
            return Ok(Verdict::Drop("that is known"));
        }
        let mut effects = Batch::new();
        effects.poll_counts(case.portal.id, poll, &counts);
        let mut rows = vec![self.results_row(case, &target, &known, &counts, ended).await?];
        if ended {
            effects.poll_ended(case.portal.id, poll);
            rows.push(self.end_row(case, &target, &known, &counts).await?);
        }
        Ok(Verdict::Send { rows, effects, opens: vec![poll.to_owned()] })
    }

    /// The one message that says how a poll stands: sent the first time, changed afterwards.
    async fn results_row(
        &self,
        case: &Case<'_>,
        poll: &MessageRow,
        known: &PollRow,
        counts: &[(String, u64)],
        ended: bool,
    ) -> Result<Outgoing, Failure> {
        let words = Rich::plain(standing(known, counts, ended));
        let mut content = Value::Object(format::to_content(&words, "m.notice"));
        let parts = self.store.message_parts(case.portal.id, &poll.remote_id).await?;
        let shown = parts.into_iter().find(|row| row.part == RESULTS && !row.tombstone);
        let mut records = Vec::new();
        if let Some(shown) = shown {
            let new = content.clone();
            content["body"] = format!("* {}", words.text()).into();
            content["m.new_content"] = new;
            content["m.relates_to"] =
                json!({ "rel_type": "m.replace", "event_id": shown.event_id });
        } else {
            content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": poll.event_id } });
            records.push(Record::Message {
                remote_id: poll.remote_id.clone(),
                part: RESULTS.into(),
                place: RESULTS_PLACE,
                order: None,
                ts: case.ts,
                thread_root: poll.thread_root.clone(),
                meta: PlainMeta::default(),
                disappear: None,
            });
        }
        let op = MatrixOp::Event { kind: "m.room.message".into(), content, file: None };
        // By the bot, whoever started the poll: only who sent it can change it.
        Ok(case.out_as(Actor::Bot, RESULTS, op, records))
    }

    pub(super) async fn convert_poll_end(
        self: &Arc<Self>,
        case: &Case<'_>,
        poll: &str,
    ) -> Result<Verdict, Failure> {
        let (target, known) = match self.known_poll(case, poll).await? {
            Ok(found) => found,
            Err(verdict) => return Ok(verdict),
        };
        if known.ended {
            return Ok(Verdict::Drop("it has ended already"));
        }
        let mut counts = known.counts.clone();
        if counts.is_empty() {
            let votes = self.store.votes(case.portal.id, poll).await?;
            let count = |id: &String| votes.iter().filter(|vote| vote.contains(id)).count() as u64;
            counts = known
                .options
                .iter()
                .map(|option| (option.remote.clone(), count(&option.remote)))
                .collect();
        }
        let mut effects = Batch::new();
        effects.poll_ended(case.portal.id, poll);
        let row = self.end_row(case, &target, &known, &counts).await?;
        Ok(Verdict::Send { rows: vec![row], effects, opens: vec![poll.to_owned()] })
    }

    /// Only who started a poll, or has the power to redact, may end it (MSC3381).
    async fn end_row(
        &self,
        case: &Case<'_>,
        poll: &MessageRow,
        known: &PollRow,
        counts: &[(String, u64)],
    ) -> Result<Outgoing, Failure> {
        let named = known.options.iter().zip(counts);
        let results: Map<String, Value> =
            named.map(|(option, (_, count))| (option.matrix.clone(), (*count).into())).collect();
        let words = standing(known, counts, true);
        let content = json!({
            "m.relates_to": { "rel_type": "m.reference", "event_id": poll.event_id },
            "body": words,
            "org.matrix.msc1767.text": words,
            "org.matrix.msc3381.poll.end": {},
            "m.poll.results": results,
        });
        let actor = match Actor::from_text(&poll.sender) {
            Actor::Login(login) => {
                let owner = self.logins.stored(&login).and_then(|login| login.owner);
                let puppet = match owner {
                    Some(owner) => self.puppet(&owner).await?,
                    None => None,
                };
                if puppet.is_some() { Actor::Login(login) } else { Actor::Bot }
            }
            actor => actor,
        };
        let kind = "org.matrix.msc3381.poll.end".into();
        let op = MatrixOp::Event { kind, content, file: None };
        Ok(case.out_as(actor, "end", op, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PollOption;

    fn poll(ids: &[&str]) -> Poll {
        let option = |id: &&str| PollOption { id: (*id).into(), text: id.to_uppercase() };
        Poll {
            question: "Which?".into(),
            options: ids.iter().map(option).collect(),
            max_choices: 0,
            disclosed: true,
        }
    }

    #[test]
    fn options_keep_their_names_on_matrix() {
        let started = of_matrix(1, "m", &poll(&["x", "y"]), Some(&["1".into(), "2".into()]));
        assert_eq!(started.max_choices, 1);
        let changed = of_network(1, "m", &poll(&["2", "1", "3"]), Some(&started));
        let names: Vec<_> = changed.options.iter().map(|option| &*option.matrix).collect();
        assert_eq!(names, ["y", "x", "3"]);
    }

    #[test]
    fn unknown_options_are_not_counted() {
        let row = of_network(1, "m", &poll(&["a", "b"]), None);
        let counts = in_order(&row, &[("b".into(), 3), ("z".into(), 9)]);
        assert_eq!(counts, [("a".to_owned(), 0), ("b".to_owned(), 3)]);
        assert_eq!(standing(&row, &counts, false), "Votes so far:\n- A: 0\n- B: 3");
    }

    #[test]
    fn a_poll_that_matrix_cannot_show_is_one_of_words() {
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!is_showable(&poll(&many)));
        assert!(!is_showable(&poll(&[])));
        assert!(is_showable(&poll(&many[..20])));
        assert_eq!(in_words(&poll(&["a"])), "Which?\n- A");
    }
}
