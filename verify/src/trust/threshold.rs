//! Answers: do enough independent parties say the same?
//!
//! Two voices are independent only if their keys, their builders and their operators all differ:
//! one operator with two keys, or two keys on one builder, is one voice.

use std::collections::BTreeSet;

/// The most voices that a threshold may ask for.
pub const MAX_THRESHOLD: usize = 8;

/// One party that says something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voice {
    /// The certificate that signed.
    pub key: String,
    /// The `builder.id` of the statement.
    pub builder: String,
    /// Who runs that builder.
    pub operator: String,
}

impl Voice {
    fn independent_of(&self, other: &Self) -> bool {
        self.key != other.key && self.builder != other.builder && self.operator != other.operator
    }
}

/// How many of these voices are independent of each other, counted up to `threshold` (at most
/// [`MAX_THRESHOLD`]).
#[must_use]
pub fn independent(voices: &BTreeSet<Voice>, threshold: usize) -> usize {
    let all: Vec<&Voice> = voices.iter().collect();
    let mut best = 0;
    search(
        &all,
        &mut Vec::new(),
        threshold.min(MAX_THRESHOLD),
        &mut best,
    );
    best
}

fn search<'a>(left: &[&'a Voice], chosen: &mut Vec<&'a Voice>, enough: usize, best: &mut usize) {
    *best = (*best).max(chosen.len());
    for (index, voice) in left.iter().enumerate() {
        if *best >= enough || chosen.len() + left.len() - index <= *best {
            return;
        }
        if chosen.iter().all(|other| voice.independent_of(other)) {
            chosen.push(voice);
            search(&left[index + 1..], chosen, enough, best);
            chosen.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(voices: &[(&str, &str, &str)]) -> usize {
        let voices = voices.iter().map(|(key, builder, operator)| Voice {
            key: (*key).to_owned(),
            builder: (*builder).to_owned(),
            operator: (*operator).to_owned(),
        });
        independent(&voices.collect(), MAX_THRESHOLD)
    }

    #[test]
    fn one_key_one_builder_or_one_operator_is_one_voice() {
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[("k1", "b1", "o1"), ("k2", "b2", "o2")]), 2);
        assert_eq!(count(&[("k1", "b1", "o1"), ("k1", "b2", "o2")]), 1);
        assert_eq!(count(&[("k1", "b1", "o1"), ("k2", "b1", "o2")]), 1);
        assert_eq!(count(&[("k1", "b1", "o1"), ("k2", "b2", "o1")]), 1);
    }

    #[test]
    fn counting_keys_builders_and_operators_apart_would_find_two_where_there_is_one() {
        assert_eq!(
            count(&[("k1", "b1", "o1"), ("k1", "b2", "o2"), ("k2", "b1", "o2")]),
            1
        );
    }
}
