//! Channel modes and Matrix power levels.

use crate::isupport::{ISupport, ModeKind};
use crate::raw::Flags;

/// One mode set or unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// Set, or unset.
    pub set: bool,
    /// The letter.
    pub mode: char,
    /// What the letter means for the parameter.
    pub kind: ModeKind,
    /// The parameter, empty if it has none.
    pub param: String,
}

/// Reads the parameters of a MODE line behind the channel.
pub fn parse(params: &[String], isupport: &ISupport) -> Vec<ModeChange> {
    let Some((letters, rest)) = params.split_first() else { return Vec::new() };
    let mut rest = rest.iter();
    let mut set = true;
    let mut out = Vec::new();
    for mode in letters.chars() {
        match mode {
            '+' => set = true,
            '-' => set = false,
            mode => {
                let kind = isupport.mode_kind(mode, set);
                let param = if kind == ModeKind::Flag { None } else { rest.next() };
                out.push(ModeChange { set, mode, kind, param: param.cloned().unwrap_or_default() });
            }
        }
    }
    out
}

/// The power level of somebody with these rank modes.
pub fn level(ranks: &str) -> i64 {
    let of = |mode| match mode {
        'q' | 'y' | 'Y' => 90,
        'a' => 75,
        'o' => 50,
        'h' => 40,
        'v' => VOICE,
        _ => 0,
    };
    ranks.chars().map(of).max().unwrap_or(0)
}

/// The level of those with voice: enough to speak in a moderated channel and for nothing else.
pub const VOICE: i64 = 1;
/// The level of operators.
pub const OPERATOR: i64 = 50;

/// The MODE letters that give somebody the rank a Matrix power level stands for, whatever they had before.
pub fn rank_letters(level: i64) -> &'static str {
    match level {
        OPERATOR.. => "+o",
        VOICE..OPERATOR => "-o+v",
        _ => "-ov",
    }
}

/// What changed about the switches that mean something on Matrix.
pub fn flags(changes: &[ModeChange]) -> Flags {
    let mut flags = Flags::default();
    for change in changes.iter().filter(|change| change.kind == ModeKind::Flag) {
        match change.mode {
            'm' => flags.moderated = Some(change.set),
            't' => flags.topic_locked = Some(change.set),
            'i' => flags.invite_only = Some(change.set),
            _ => {}
        }
    }
    flags
}

/// The nick that a ban mask shuts out by name, whatever its host: other masks have no counterpart on Matrix.
pub fn banned_nick(mask: &str) -> Option<&str> {
    let (nick, rest) = mask.split_once('!')?;
    (rest == "*@*" && !nick.is_empty() && !nick.contains(['*', '?'])).then_some(nick)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(line: &str) -> Vec<ModeChange> {
        let params: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&params, &ISupport::default())
    }

    #[test]
    fn pairs_letters_with_their_parameters() {
        let all = changes("+ov-b+mk anna bob x!*@* key");
        let short: Vec<_> = all.iter().map(|c| (c.set, c.mode, c.param.as_str())).collect();
        assert_eq!(
            short,
            [
                (true, 'o', "anna"),
                (true, 'v', "bob"),
                (false, 'b', "x!*@*"),
                (true, 'm', ""),
                (true, 'k', "key")
            ]
        );
        assert_eq!(flags(&all), Flags { moderated: Some(true), ..Flags::default() });
        assert_eq!(
            flags(&changes("-t+i-m")),
            Flags { moderated: Some(false), topic_locked: Some(false), invite_only: Some(true) }
        );
        assert_eq!(changes("+o").first().map(|c| c.param.clone()), Some(String::new()));
        assert!(parse(&[], &ISupport::default()).is_empty());
    }

    #[test]
    fn ranks_and_levels_agree() {
        assert_eq!((level("ov"), level("v"), level(""), level("q"), level("x")), (50, 1, 0, 90, 0));
        let letters = [100, 50, 10, 0].map(rank_letters);
        assert_eq!(letters, ["+o", "+o", "-o+v", "-ov"]);
    }

    #[test]
    fn knows_bans_by_name() {
        assert_eq!(banned_nick("troll!*@*"), Some("troll"));
        assert_eq!(
            (
                banned_nick("*!*@host"),
                banned_nick("tr*!*@*"),
                banned_nick("troll!x@*"),
                banned_nick("troll")
            ),
            (None, None, None, None)
        );
    }
}
