//! Exit codes, and how an error is told: what, because of what, and what to do.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

/// All that was asked for was done and holds.
pub const HOLDS: u8 = 0;
/// Something was checked and is false: a wrong passphrase, a damaged database, no such memory.
pub const REFUTED: u8 = 1;
/// No verdict: an input is missing, the node does not answer, the command line is wrong.
pub const NO_VERDICT: u8 = 2;

/// What a command ends with when it does not succeed.
#[derive(Debug)]
pub struct Failure {
    /// [`REFUTED`] or [`NO_VERDICT`].
    pub exit: u8,
    /// A short name that programs may rely on.
    pub code: String,
    /// What happened.
    pub what: String,
    /// The chain of causes, each adding one fact.
    pub because: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// Something was checked and is false.
    pub fn refuted(code: impl Into<String>, what: impl fmt::Display) -> Self {
        Self {
            exit: REFUTED,
            code: code.into(),
            what: what.to_string(),
            because: Vec::new(),
            hint: None,
        }
    }

    /// Nothing could be found out.
    pub fn no_verdict(code: impl Into<String>, what: impl fmt::Display) -> Self {
        Self {
            exit: NO_VERDICT,
            ..Self::refuted(code, what)
        }
    }

    /// Adds one cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.because.push(cause.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells it on stderr (as JSON where that was asked for) and gives the exit code.
    #[must_use]
    pub fn report(&self, as_json: bool) -> ExitCode {
        let text = if as_json {
            let document = json!({
                "version": 1,
                "error": {
                    "code": self.code, "what": self.what, "because": self.because,
                    "hint": self.hint, "exit": self.exit,
                },
            });
            format!("{document}\n")
        } else {
            self.to_string()
        };
        // Where stderr is closed there is nobody left to tell; the exit code still says it.
        drop(std::io::stderr().lock().write_all(text.as_bytes()));
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", escape(&self.what))?;
        for cause in &self.because {
            writeln!(f, "  because: {}", escape(cause))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "\nhint: {}", escape(hint))?;
        }
        Ok(())
    }
}

impl From<crate::store::OpenError> for Failure {
    fn from(error: crate::store::OpenError) -> Self {
        let exit = if error.is_refutation() {
            REFUTED
        } else {
            NO_VERDICT
        };
        Self {
            exit,
            hint: error.hint(),
            ..Self::refuted(error.code(), &error)
        }
    }
}

impl From<crate::passphrase::PassphraseError> for Failure {
    fn from(error: crate::passphrase::PassphraseError) -> Self {
        Self {
            hint: error.hint(),
            ..Self::no_verdict(error.code(), &error)
        }
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Self::from(crate::store::OpenError::from(error))
    }
}

/// Text from outside, with everything that could steer a terminal made visible.
#[must_use]
pub fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let visible = c == '\n' || c == '\t' || !c.is_control();
            let escaped = if visible {
                None
            } else {
                Some(c.escape_unicode())
            };
            let plain = if visible { Some(c) } else { None };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}
