//! What is wrong with a registration, where, and what to do about it.

use std::fmt;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The registration cannot be used.
    Error,
    /// It can be used, but probably does not do what its author wants.
    Warning,
}

/// One thing wrong with a registration: the place, the fault and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The path of the value in the file, such as `namespaces.users[0].regex`.
    pub place: String,
    /// What is wrong there. Never contains a token.
    pub fault: String,
    /// What the reader should do.
    pub remedy: String,
}

impl Problem {
    pub(crate) fn error(place: &str, fault: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.to_owned(),
            fault: fault.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn warning(
        place: &str,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, fault, remedy) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}: {}", self.place, self.fault, self.remedy)
    }
}
