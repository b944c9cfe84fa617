//! What a check found: what was lost, doubled, or came in another order, and where.

use std::fmt;

use super::check::Plan;

/// So many violations are told in words.
const TOLD: usize = 20;

/// The word that a changed message begins with.
pub(super) const EDITED: &str = "edited";

/// Something that was said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Its text before it was changed: a mark and its number.
    pub(super) text: String,
    /// What the side it was said on calls it.
    pub(super) id: String,
    /// Whether it was changed.
    pub(super) edited: bool,
}

/// One side: how many messages, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Said on the other side.
    pub said: usize,
    /// Never arrived.
    pub lost: usize,
    /// Arrived more than once.
    pub doubled: usize,
    /// Arrived after one said later.
    pub reordered: usize,
    /// Arrived though nobody had said it, or with another text than its last.
    pub wrong: usize,
}

impl Tally {
    /// Whether everything arrived once, in order.
    pub fn is_clean(&self) -> bool {
        (self.lost, self.doubled, self.reordered, self.wrong) == (0, 0, 0, 0)
    }

    /// Adds what was said in a chat and what was heard of it; a relay may have put a name before it. Texts that aren't of
    /// ours (notices) don't count.
    pub(super) fn compare(
        &mut self,
        chat: &str,
        said: &[Said],
        heard: impl Iterator<Item = String>,
        mark: char,
        violations: &mut Vec<String>,
    ) {
        let mut tell = |what: String| {
            if violations.len() < TOLD {
                violations.push(format!("{chat}: {what}"));
            }
        };
        let mut seen = vec![0usize; said.len()];
        let mut last = None;
        for text in heard {
            let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
            let Some(number) = word.strip_prefix(mark).and_then(|n| n.parse::<usize>().ok()) else {
                continue;
            };
            let Some(times) = seen.get_mut(number) else {
                self.wrong += 1;
                tell(format!("{mark}{number} was never said"));
                continue;
            };
            *times += 1;
            let edited = text.split_whitespace().any(|word| word == EDITED);
            if *times == 1 && said[number].edited != edited {
                self.wrong += 1;
                tell(format!("{} has not its last text", said[number].text));
            }
            match last {
                _ if *times > 1 => {
                    self.doubled += 1;
                    tell(format!(
                        "{mark}{number} came again, after {mark}{}",
                        last.unwrap_or_default()
                    ));
                }
                Some(last) if number < last => {
                    self.reordered += 1;
                    tell(format!("{mark}{number} came after {mark}{last}"));
                }
                _ => last = Some(number),
            }
        }
        self.said += said.len();
        for (number, _) in seen.iter().enumerate().filter(|(_, times)| **times == 0) {
            self.lost += 1;
            tell(format!("{mark}{number} was lost"));
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done.
    pub plan: Plan,
    /// Crashes at a place in the bridge's ways, and at any other await.
    pub crashes: (u32, u32),
    /// From the network to Matrix.
    pub to_matrix: Tally,
    /// From Matrix to the network.
    pub to_network: Tally,
    /// The first things that went wrong, in words.
    pub violations: Vec<String>,
}

impl Report {
    pub(super) fn new(plan: Plan, crashes: (u32, u32)) -> Self {
        let (to_matrix, to_network) = (Tally::default(), Tally::default());
        Self { plan, crashes, to_matrix, to_network, violations: Vec::new() }
    }

    /// Whether nothing is missing any more.
    pub(super) fn is_complete(&self) -> bool {
        [self.to_matrix, self.to_network].iter().all(|tally| (tally.lost, tally.wrong) == (0, 0))
    }

    /// Whether the promise held.
    pub fn is_clean(&self) -> bool {
        self.to_matrix.is_clean() && self.to_network.is_clean()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (points, awaits) = self.crashes;
        writeln!(
            f,
            "seed {}: {points} crashes at requests, {awaits} at any await",
            self.plan.seed
        )?;
        for (way, t) in
            [("network to Matrix", self.to_matrix), ("Matrix to network", self.to_network)]
        {
            let Tally { said, lost, doubled, reordered, wrong } = t;
            writeln!(
                f,
                "{way}: {said} said, {lost} lost, {doubled} doubled, {reordered} reordered, {wrong} wrong"
            )?;
        }
        self.violations.iter().try_for_each(|violation| writeln!(f, "{violation}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_doubles_and_disorder_are_seen() {
        let say = |n: usize| Said { text: format!("n{n}"), id: String::new(), edited: n == 4 };
        let said: Vec<Said> = (0..7).map(say).collect();
        let heard = ["n0", "Nora: n2", "n1", "n2", "notice", "n4", "n6", "n9"];
        let (mut tally, mut told) = (Tally::default(), Vec::new());
        tally.compare("c", &said, heard.into_iter().map(ToOwned::to_owned), 'n', &mut told);
        assert_eq!(tally, Tally { said: 7, lost: 2, doubled: 1, reordered: 1, wrong: 2 });
        assert_eq!(told[0], "c: n1 came after n2");
        let mut clean = Tally::default();
        let right = said
            .iter()
            .map(|s| if s.edited { format!("{EDITED} {}", s.text) } else { s.text.clone() });
        clean.compare("c", &said, right, 'n', &mut told);
        assert!(clean.is_clean());
    }
}
