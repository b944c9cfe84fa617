//! What a check found: what was lost, doubled, or came in another order, and where.

use std::fmt;

use super::check::Plan;

/// So many violations are told in words.
const TOLD: usize = 20;

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
    /// Arrived though nobody had said it.
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
        said: &[String],
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
        let said: Vec<String> = (0..6).map(|n| format!("n{n}")).collect();
        let heard = ["n0", "Nora: n2", "n1", "n2", "notice", "n5", "n9"];
        let (mut tally, mut told) = (Tally::default(), Vec::new());
        tally.compare("c", &said, heard.into_iter().map(ToOwned::to_owned), 'n', &mut told);
        assert_eq!(tally, Tally { said: 6, lost: 2, doubled: 1, reordered: 1, wrong: 1 });
        assert_eq!(told[0], "c: n1 came after n2");
        let mut clean = Tally::default();
        clean.compare("c", &said, said.clone().into_iter(), 'n', &mut told);
        assert!(clean.is_clean());
    }
}
