//! What went wrong, why, and what to do next: the one error type that a person or a program sees.
//!
//! A [`Failure`] crosses the socket as it is, and its [`FailureKind`] is the exit code of the command line.
//! Its text stays on one line whatever was in the input.

use std::fmt::{self, Display};
use std::io;

use serde::{Deserialize, Serialize};

/// What sort of failure it is; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum FailureKind {
    /// The attempt was made and failed.
    Failed = 1,
    /// The command line or the configuration file is wrong.
    Usage = 2,
    /// There is no such tunnel; or something of an import was not understood.
    NotFound = 3,
    /// Nobody serves the socket.
    NoDaemon = 4,
    /// The caller may not do this.
    NoPermission = 5,
    /// This version or this kernel cannot do this.
    Unsupported = 6,
    /// It contradicts what is there already.
    Conflict = 7,
}

impl FailureKind {
    /// The exit code of the command line.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// The table of exit codes, as `--help` prints it.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or the configuration file is wrong
  3  no such tunnel, or an import that was understood in part
  4  no daemon serves the socket
  5  no permission
  6  not supported by this version or this kernel
  7  in conflict with what is there already";

/// An error with its cause and the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: FailureKind,
    /// What failed, and why.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// Makes a failure of what failed and why.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Display) -> Self {
        Self { kind, message: one_line(&message.to_string()), hint: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(one_line(&hint.to_string()));
        self
    }

    /// Says where it happened, in front of what happened.
    #[must_use]
    pub fn within(mut self, place: impl Display) -> Self {
        self.message = one_line(&format!("{place}: {}", self.message));
        self
    }

    /// Makes a failure of what the system refused; a missing permission is told apart.
    #[must_use]
    pub fn io(what: impl Display, cause: &io::Error) -> Self {
        let denied = cause.kind() == io::ErrorKind::PermissionDenied;
        let kind = if denied { FailureKind::NoPermission } else { FailureKind::Failed };
        let failure = Self::new(kind, format!("{what}: {cause}"));
        if denied { failure.with_hint("run it as root") } else { failure }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for Failure {}

/// Escapes what would break a line or drive a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_cause_and_next_step_on_one_line() {
        let failure =
            Failure::new(FailureKind::Usage, "mtu `2\n\x1b[31m`: too small").with_hint("give 68 or more");
        assert_eq!(failure.to_string(), "mtu `2\\n\\u{1b}[31m`: too small; give 68 or more");
    }

    #[test]
    fn survives_the_socket() {
        let failure = Failure::new(FailureKind::NotFound, "ipip9: no such tunnel").with_hint("see print");
        let text = serde_json::to_string(&failure).unwrap();
        assert_eq!(text, r#"{"kind":"not-found","message":"ipip9: no such tunnel","hint":"see print"}"#);
        assert_eq!(serde_json::from_str::<Failure>(&text).unwrap(), failure);
    }

    #[test]
    fn missing_permission_is_told_apart() {
        let denied = Failure::io("reading x", &io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.kind, FailureKind::NoPermission);
        let full = Failure::io("writing x", &io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.kind, FailureKind::Failed);
    }

    #[test]
    fn every_exit_code_is_documented() {
        for kind in [FailureKind::Failed, FailureKind::Usage, FailureKind::NotFound, FailureKind::NoDaemon]
            .into_iter()
            .chain([FailureKind::NoPermission, FailureKind::Unsupported, FailureKind::Conflict])
        {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", kind.exit_code())));
        }
    }
}
