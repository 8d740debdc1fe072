//! Range reconciliation: finds what two sets of versions do not share, by comparing ever smaller
//! ranges of ids. A hundred differences among a hundred thousand cost some hundred kilobytes.

use std::collections::BTreeSet;

use super::protocol::{LEAF_IDS, RANGES, RangeAnswers, RangeQuestions, RangeSum, RangeView};
use super::set::{Prefix, VersionSet};

/// Answers for the ranges that differ: the parts of a big one, the ids of a small one.
#[must_use]
pub fn answer(set: &VersionSet, questions: &RangeQuestions) -> RangeAnswers {
    let differing = questions.ranges.iter().filter_map(|range| {
        let prefix = Prefix::parse(&range.prefix)?;
        let own = set.sum(&prefix);
        if own.count == range.count && own.digest() == range.digest {
            return None;
        }
        let small = own.count <= LEAF_IDS || prefix.len() >= 64;
        Some(RangeView {
            prefix: prefix.to_string(),
            parts: (!small).then(|| {
                let parts = prefix.children().map(|child| set.sum(&child));
                parts.map(|sum| (sum.count, sum.digest())).collect()
            }),
            ids: small.then(|| set.ids(&prefix).iter().map(hex::encode).collect()),
        })
    });
    RangeAnswers {
        ranges: differing.collect(),
    }
}

/// Ranges of one walk, and ids that it may find missing here. A walk that meets a limit ends with what
/// it has found; the next one finds the rest. So no peer can make this side walk for ever.
const WALK_RANGES: usize = 1 << 18;
const WALK_IDS: usize = 1 << 18;

/// One side's walk through the ranges; the other side only answers.
#[derive(Debug, Default)]
pub struct Walk {
    asked: Vec<Prefix>,
    walked: usize,
    /// Ids that only the other side has.
    pub missing_here: BTreeSet<[u8; 32]>,
    /// Ids that only this side has.
    pub missing_there: BTreeSet<[u8; 32]>,
}

impl Walk {
    /// A walk that begins with everything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            asked: vec![Prefix::default()],
            ..Self::default()
        }
    }

    /// What to ask next; `None`: every difference is found, or as many as one walk may find.
    #[must_use]
    pub fn questions(&self, set: &VersionSet) -> Option<RangeQuestions> {
        let too_far = self.walked >= WALK_RANGES || self.missing_here.len() >= WALK_IDS;
        if self.asked.is_empty() || too_far {
            return None;
        }
        let ranges = self.asked.iter().take(RANGES).map(|prefix| {
            let sum = set.sum(prefix);
            RangeSum {
                prefix: prefix.to_string(),
                count: sum.count,
                digest: sum.digest(),
            }
        });
        Some(RangeQuestions {
            ranges: ranges.collect(),
        })
    }

    /// Takes the answer to [`Walk::questions`]: goes down where parts differ, notes ids.
    pub fn take(&mut self, set: &VersionSet, answers: &RangeAnswers) {
        let asked: Vec<Prefix> = self.asked.drain(..self.asked.len().min(RANGES)).collect();
        self.walked += asked.len();
        let mut asked: BTreeSet<Prefix> = asked.into_iter().collect();
        for view in &answers.ranges {
            // What was not asked is not answered, and each question once.
            let Some(prefix) = Prefix::parse(&view.prefix).filter(|p| asked.remove(p)) else {
                continue;
            };
            if let Some(ids) = &view.ids {
                self.compare(set, &prefix, ids);
            } else if let Some(parts) = &view.parts {
                let children = prefix.children().zip(parts);
                let differing = children.filter(|(child, (count, digest))| {
                    let own = set.sum(child);
                    own.count != *count || own.digest() != *digest
                });
                let room = WALK_RANGES.saturating_sub(self.walked + self.asked.len());
                let differing = differing.map(|(child, _)| child).take(room);
                self.asked.extend(differing);
            }
        }
    }

    fn compare(&mut self, set: &VersionSet, prefix: &Prefix, theirs: &[String]) {
        let theirs: BTreeSet<[u8; 32]> = theirs
            .iter()
            .filter_map(|text| {
                let mut id = [0_u8; 32];
                hex::decode_to_slice(text, &mut id).ok().map(|()| id)
            })
            .filter(|id| prefix.holds(id))
            .collect();
        let ours: BTreeSet<[u8; 32]> = set.ids(prefix).into_iter().collect();
        self.missing_here.extend(theirs.difference(&ours));
        self.missing_there.extend(ours.difference(&theirs));
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn id(number: u32) -> [u8; 32] {
        Sha256::digest(number.to_be_bytes()).into()
    }

    fn set(numbers: impl Iterator<Item = u32>) -> VersionSet {
        let mut set = VersionSet::default();
        numbers.zip(1..).for_each(|(n, seq)| set.add(seq, id(n)));
        set
    }

    #[test]
    fn a_hundred_differences_among_a_hundred_thousand_cost_less_than_half_a_megabyte() {
        let here = set((0..100_000).filter(|n| n % 2000 != 0));
        let there = set((0..100_000).filter(|n| n % 2000 != 1000));
        let (mut walk, mut bytes, mut rounds) = (Walk::new(), 0, 0);
        while let Some(questions) = walk.questions(&here) {
            let answers = answer(&there, &questions);
            bytes += serde_json::to_vec(&questions).unwrap().len();
            bytes += serde_json::to_vec(&answers).unwrap().len();
            walk.take(&here, &answers);
            rounds += 1;
        }
        assert_eq!(walk.missing_here.len(), 50);
        assert_eq!(walk.missing_there.len(), 50);
        assert!(walk.missing_here.contains(&id(0)) && walk.missing_there.contains(&id(1000)));
        assert!(bytes < 500_000, "{bytes} bytes in {rounds} rounds");
    }

    #[test]
    fn an_empty_side_learns_of_everything() {
        let (here, there) = (set(0..0), set(0..3000));
        let mut walk = Walk::new();
        while let Some(questions) = walk.questions(&here) {
            let answers = answer(&there, &questions);
            walk.take(&here, &answers);
        }
        assert_eq!(walk.missing_here.len(), 3000);
    }

    /// A peer that says that every part of every range differs, down to the last digit.
    #[test]
    fn a_peer_that_differs_everywhere_does_not_make_this_side_walk_for_ever() {
        let here = set(0..100);
        let (mut walk, mut rounds) = (Walk::new(), 0);
        while let Some(questions) = walk.questions(&here) {
            let lie = |range: &RangeSum| RangeView {
                prefix: range.prefix.clone(),
                parts: (range.prefix.len() < 64).then(|| vec![(7, "0".repeat(32)); 16]),
                ids: None,
            };
            let ranges = questions.ranges.iter().map(lie).collect();
            walk.take(&here, &RangeAnswers { ranges });
            rounds += 1;
        }
        assert!(rounds <= WALK_RANGES / RANGES + 3, "{rounds} rounds");
        assert!(walk.asked.len() <= WALK_RANGES);
    }
}
