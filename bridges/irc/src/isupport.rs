//! What a server says of itself on connection: numeric 005, `RPL_ISUPPORT` ("Modern IRC Client Protocol", "Feature Advertisement").

use crate::casemap::CaseMapping;
use crate::message::LINE_LIMIT;

/// The features we act upon, with the defaults of servers that don't advertise them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ISupport {
    /// How names are folded.
    pub casemapping: CaseMapping,
    /// The most characters of a nick.
    pub nick_len: usize,
    /// The characters a channel's name begins with.
    pub chan_types: Vec<char>,
    /// Channel ranks, highest first: the mode's letter and the sign before a nick in NAMES.
    pub prefixes: Vec<(char, char)>,
    /// Channel modes that always take a parameter and keep a list (type A: bans).
    pub list_modes: Vec<char>,
    /// Channel modes that always take a parameter (type B: key).
    pub param_modes: Vec<char>,
    /// Channel modes that take a parameter when set (type C: limit).
    pub set_param_modes: Vec<char>,
    /// The most parameterised modes of one MODE command.
    pub modes_per_command: usize,
    /// The most bytes of a topic, where the server says.
    pub topic_len: Option<usize>,
    /// The most bytes of a kick's reason.
    pub kick_len: usize,
    /// The most bytes of an away message.
    pub away_len: usize,
    /// The most bytes of a channel's name.
    pub channel_len: usize,
    /// The most bytes of a line, its end included.
    pub line_len: usize,
    /// The most messages of one CHATHISTORY answer; `None` where the server has no such command. 0 means "no limit".
    pub chathistory: Option<usize>,
    /// The network's own name.
    pub network: Option<String>,
    /// The mode's letter by which a bot marks itself (IRCv3 "Bot Mode").
    pub bot_mode: Option<char>,
}

impl Default for ISupport {
    fn default() -> Self {
        Self {
            casemapping: CaseMapping::Rfc1459,
            nick_len: 9,
            chan_types: vec!['#', '&'],
            prefixes: vec![('o', '@'), ('v', '+')],
            list_modes: vec!['b'],
            param_modes: vec!['k'],
            set_param_modes: vec!['l'],
            modes_per_command: 3,
            topic_len: None,
            kick_len: 200,
            away_len: 160,
            channel_len: 50,
            line_len: LINE_LIMIT,
            chathistory: None,
            network: None,
            bot_mode: None,
        }
    }
}

/// What a mode letter of a MODE line means for its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeKind {
    /// A rank (operator, voice): its parameter is a nick.
    Rank,
    /// A list entry such as a ban.
    List,
    /// A value that has a parameter.
    Value,
    /// A switch without parameter.
    Flag,
}

impl ISupport {
    /// Takes the tokens of one 005 line: everything between our nick and the closing "are supported by this server".
    pub fn apply(&mut self, params: &[String]) {
        let tokens = params.iter().skip(1).take(params.len().saturating_sub(2));
        for token in tokens {
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            if let Some(gone) = name.strip_prefix('-') {
                self.reset(gone);
            } else {
                self.set(name, value);
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "CASEMAPPING" => self.casemapping = CaseMapping::from_isupport(value),
            "NICKLEN" | "MAXNICKLEN" => set_number(&mut self.nick_len, value, 1..=512),
            "CHANTYPES" => self.chan_types = value.chars().collect(),
            "PREFIX" => self.prefixes = parse_prefix(value),
            "CHANMODES" => self.set_chanmodes(value),
            "MODES" => set_number(&mut self.modes_per_command, value, 1..=100),
            "TOPICLEN" => self.topic_len = value.parse().ok(),
            "KICKLEN" => set_number(&mut self.kick_len, value, 1..=4096),
            "AWAYLEN" => set_number(&mut self.away_len, value, 1..=4096),
            "CHANNELLEN" => set_number(&mut self.channel_len, value, 1..=512),
            "LINELEN" => set_number(&mut self.line_len, value, LINE_LIMIT..=8_192),
            "CHATHISTORY" | "draft/CHATHISTORY" => {
                self.chathistory = Some(value.parse().unwrap_or(0));
            }
            "NETWORK" if !value.is_empty() => self.network = Some(value.to_owned()),
            "BOT" => self.bot_mode = value.chars().next(),
            _ => {}
        }
    }

    fn reset(&mut self, name: &str) {
        let default = Self::default();
        match name {
            "CHATHISTORY" | "draft/CHATHISTORY" => self.chathistory = None,
            "LINELEN" => self.line_len = default.line_len,
            "CASEMAPPING" => self.casemapping = default.casemapping,
            "TOPICLEN" => self.topic_len = None,
            "BOT" => self.bot_mode = None,
            _ => {}
        }
    }

    fn set_chanmodes(&mut self, value: &str) {
        let mut kinds = value.split(',').map(|kind| kind.chars().collect::<Vec<_>>());
        self.list_modes = kinds.next().unwrap_or_default();
        self.param_modes = kinds.next().unwrap_or_default();
        self.set_param_modes = kinds.next().unwrap_or_default();
    }

    /// What a mode letter means, and so whether it takes a parameter when set or unset.
    pub fn mode_kind(&self, mode: char, set: bool) -> ModeKind {
        if self.prefixes.iter().any(|(letter, _)| *letter == mode) {
            ModeKind::Rank
        } else if self.list_modes.contains(&mode) {
            ModeKind::List
        } else if self.param_modes.contains(&mode) || (set && self.set_param_modes.contains(&mode))
        {
            ModeKind::Value
        } else {
            ModeKind::Flag
        }
    }

    /// Whether a target is a channel.
    pub fn is_channel(&self, name: &str) -> bool {
        name.chars().next().is_some_and(|first| self.chan_types.contains(&first))
    }

    /// Splits a NAMES entry (`@+nick`, with the capability multi-prefix, or `@nick`) into its rank modes and the name.
    pub fn split_prefixes<'a>(&self, entry: &'a str) -> (String, &'a str) {
        let mut modes = String::new();
        let mut rest = entry;
        while let Some(sign) = rest.chars().next() {
            let Some((mode, _)) = self.prefixes.iter().find(|(_, s)| *s == sign) else {
                break;
            };
            modes.push(*mode);
            rest = &rest[sign.len_utf8()..];
        }
        (modes, rest)
    }
}

fn set_number(slot: &mut usize, value: &str, range: std::ops::RangeInclusive<usize>) {
    if let Ok(number) = value.parse::<usize>() {
        *slot = number.clamp(*range.start(), *range.end());
    }
}

fn parse_prefix(value: &str) -> Vec<(char, char)> {
    let Some((modes, signs)) = value.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
        return Vec::new();
    };
    modes.chars().zip(signs.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Vec<String> {
        let mut all = vec!["me".to_owned()];
        all.extend(text.split(' ').map(str::to_owned));
        all.push("are supported by this server".to_owned());
        all
    }

    #[test]
    fn reads_the_tokens_of_real_servers() {
        let mut s = ISupport::default();
        s.apply(&params("CASEMAPPING=ascii NICKLEN=30 PREFIX=(qaohv)~&@%+ CHANMODES=beI,k,l,imMnOPQRstVz MODES=5 LINELEN=1024 CHATHISTORY=100 NETWORK=Net BOT=B"));
        assert_eq!(
            (s.casemapping, s.nick_len, s.line_len, s.chathistory),
            (CaseMapping::Ascii, 30, 1024, Some(100))
        );
        assert_eq!(s.split_prefixes("@+nick"), ("ov".to_owned(), "nick"));
        assert_eq!(s.mode_kind('o', true), ModeKind::Rank);
        assert_eq!(s.mode_kind('b', false), ModeKind::List);
        assert_eq!(
            (s.mode_kind('l', true), s.mode_kind('l', false)),
            (ModeKind::Value, ModeKind::Flag)
        );
        assert_eq!(s.bot_mode, Some('B'));
        s.apply(&params("-CHATHISTORY -LINELEN"));
        assert_eq!((s.chathistory, s.line_len), (None, LINE_LIMIT));
    }

    #[test]
    fn takes_no_nonsense() {
        let mut s = ISupport::default();
        s.apply(&params("NICKLEN=0 LINELEN=99999999 PREFIX=broken MODES="));
        assert_eq!((s.nick_len, s.line_len, s.modes_per_command), (1, 8_192, 3));
        assert_eq!(s.split_prefixes("@nick"), (String::new(), "@nick"));
        s.apply(&[]);
    }
}
