//! The set of version ids that a node has: how many, their digest, and both for any range of them.
//!
//! A range is a prefix of the id in hex digits. Its sum is the ids added modulo 2^256, so that one
//! more id costs one addition, wherever it goes; what peers compare is SHA-256 over sum and count.

use sha2::{Digest as _, Sha256};

/// Ids whose first three hex digits are the same share a bucket.
const BUCKETS: usize = 4096;
const BUCKET_DIGITS: usize = 3;

/// How many ids are in a range, and what they add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    limbs: [u64; 4],
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        let mut carry = false;
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            let (sum, first) = limb.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    fn of(id: &[u8; 32]) -> Self {
        let mut limbs = [0_u64; 4];
        for (limb, bytes) in limbs.iter_mut().zip(id.rchunks(8)) {
            let mut eight = [0_u8; 8];
            eight.copy_from_slice(bytes);
            *limb = u64::from_be_bytes(eight);
        }
        Self { count: 1, limbs }
    }

    /// What peers compare: 32 hex digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"hallmark-range-v1\0");
        hasher.update(self.count.to_be_bytes());
        for limb in self.limbs.iter().rev() {
            hasher.update(limb.to_be_bytes());
        }
        hex::encode(&hasher.finalize()[..16])
    }
}

/// A prefix of ids: up to 64 hex digits, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Prefix(Vec<u8>);

impl Prefix {
    /// Reads the hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        text.bytes()
            .map(|byte| match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'a'..=b'f' => Some(byte - b'a' + 10),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
            .map(Self)
    }

    /// The sixteen ranges that this one consists of; none beyond the last digit.
    pub fn children(&self) -> impl Iterator<Item = Self> {
        let digits = if self.0.len() < 64 { 16 } else { 0_u8 };
        (0..digits).map(|digit| {
            let mut longer = self.0.clone();
            longer.push(digit);
            Self(longer)
        })
    }

    /// How many digits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an id is in this range.
    #[must_use]
    pub fn holds(&self, id: &[u8; 32]) -> bool {
        self.0.iter().enumerate().all(|(index, digit)| {
            let byte = id[index / 2];
            let nibble = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
            nibble == *digit
        })
    }

    /// The buckets that it touches.
    fn buckets(&self) -> std::ops::Range<usize> {
        let known = self.0.iter().take(BUCKET_DIGITS);
        let width = BUCKET_DIGITS.saturating_sub(self.0.len()) * 4;
        let first = known.fold(0_usize, |sum, digit| sum * 16 + usize::from(*digit)) << width;
        first..first + (1 << width)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{digit:x}"))
    }
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    sum: Sum,
    ids: Vec<([u8; 32], i64)>,
}

/// The set, each id with its place in the log.
#[derive(Clone, Debug)]
pub struct VersionSet {
    buckets: Vec<Bucket>,
    all: Sum,
    last_seq: i64,
}

impl Default for VersionSet {
    fn default() -> Self {
        Self {
            buckets: vec![Bucket::default(); BUCKETS],
            all: Sum::default(),
            last_seq: 0,
        }
    }
}

impl VersionSet {
    /// Adds the version at the place `seq`, which comes after all that are in it.
    pub fn add(&mut self, seq: i64, id: [u8; 32]) {
        let sum = Sum::of(&id);
        let bucket = &mut self.buckets[bucket_of(&id)];
        bucket.sum.add(&sum);
        bucket.ids.push((id, seq));
        self.all.add(&sum);
        self.last_seq = seq;
    }

    /// The place of the last one that was added.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> Sum {
        self.all
    }

    /// The place of this version; `None`: it is not in the set.
    #[must_use]
    pub fn find(&self, id: &[u8; 32]) -> Option<i64> {
        let ids = &self.buckets[bucket_of(id)].ids;
        ids.iter()
            .find(|(known, _)| known == id)
            .map(|(_, seq)| *seq)
    }

    /// The sum of a range.
    #[must_use]
    pub fn sum(&self, prefix: &Prefix) -> Sum {
        let mut sum = Sum::default();
        for bucket in &self.buckets[prefix.buckets()] {
            if prefix.len() <= BUCKET_DIGITS {
                sum.add(&bucket.sum);
            } else {
                let inside = bucket.ids.iter().filter(|(id, _)| prefix.holds(id));
                inside.for_each(|(id, _)| sum.add(&Sum::of(id)));
            }
        }
        sum
    }

    /// The ids of a range.
    pub fn ids(&self, prefix: &Prefix) -> Vec<[u8; 32]> {
        let buckets = &self.buckets[prefix.buckets()];
        let ids = buckets.iter().flat_map(|bucket| &bucket.ids);
        ids.filter(|(id, _)| prefix.holds(id))
            .map(|(id, _)| *id)
            .collect()
    }
}

fn bucket_of(id: &[u8; 32]) -> usize {
    usize::from(id[0]) << 4 | usize::from(id[1] >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> [u8; 32] {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn the_order_does_not_matter_and_every_id_does() {
        let (mut up, mut down) = (VersionSet::default(), VersionSet::default());
        (0..500).for_each(|n| up.add(i64::from(n) + 1, id(n)));
        (0..500)
            .rev()
            .for_each(|n| down.add(i64::from(500 - n), id(n)));
        assert_eq!(up.total(), down.total());
        down.add(501, id(500));
        assert_ne!(up.total().digest(), down.total().digest());
        assert_eq!(down.find(&id(500)), Some(501));
        assert_eq!(up.find(&id(500)), None);
    }

    #[test]
    fn a_range_is_the_sum_of_its_parts_at_every_depth() {
        let mut set = VersionSet::default();
        (0..2000).for_each(|n| set.add(i64::from(n) + 1, id(n)));
        for text in ["", "a", "0f", "abc", "1234", "12345"] {
            let prefix = Prefix::parse(text).unwrap();
            let mut parts = Sum::default();
            prefix
                .children()
                .for_each(|child| parts.add(&set.sum(&child)));
            assert_eq!(parts, set.sum(&prefix), "{text}");
            let count = set.ids(&prefix).len();
            assert_eq!(u64::try_from(count).unwrap(), parts.count);
            assert_eq!(prefix.to_string(), text);
        }
        assert!(Prefix::parse("xyz").is_none() && Prefix::parse(&"0".repeat(65)).is_none());
    }
}
