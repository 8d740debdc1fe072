//! What stands in a release's way: collected, not thrown, so that one run names all of it.

use crate::outcome::{Refused, Undecided};

/// One thing that stands in the way, with what repairs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    what: String,
    repair: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something was checked and is false.
    False,
    /// Something that is needed is not there.
    Missing,
}

impl Problem {
    /// Something was checked and is false.
    pub(crate) fn wrong(what: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            kind: Kind::False,
            what: what.into(),
            repair: repair.into(),
        }
    }

    /// Something that is needed is not there.
    pub(crate) fn missing(what: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            kind: Kind::Missing,
            what: what.into(),
            repair: repair.into(),
        }
    }
}

/// One error that names every problem: a refusal where anything is false, else no verdict.
pub(crate) fn into_error(what: &str, problems: &[Problem]) -> anyhow::Error {
    let because = problems
        .iter()
        .map(|problem| problem.what.clone())
        .collect();
    let hints: Vec<String> = problems
        .iter()
        .map(|problem| problem.repair.clone())
        .collect();
    if problems.iter().any(|problem| problem.kind == Kind::False) {
        let refused = Refused::for_all(what, because);
        hints.into_iter().fold(refused, Refused::hint).into()
    } else {
        Undecided::new(what, because, hints).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_named_and_a_false_one_decides() {
        let problems = [
            Problem::missing("there is no Nix", "install it"),
            Problem::wrong("the tree is dirty", "commit it"),
        ];
        let error = into_error("nothing is released", &problems);
        let text = error.to_string();
        for part in [
            "there is no Nix",
            "install it",
            "the tree is dirty",
            "commit it",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(error.is::<Refused>());
        assert!(into_error("nothing is released", &problems[..1]).is::<Undecided>());
    }
}
