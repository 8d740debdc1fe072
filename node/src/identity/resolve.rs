//! What an object is, given all its versions: a pure function of the set, whatever order they came in.
//!
//! - **Owner**: the author of its first version. An id that names its maker (see [`object_id`])
//!   settles that; among roots that do not, the least by (clock, author, version id) counts.
//! - **Eligible** is what the owner signed, and, where the owner's root says `editors: namespace`,
//!   what anybody signed who may write to that namespace. Other versions stay in the log and are
//!   never shown: a title or an id proves nothing.
//! - **Deleted** for good as soon as one eligible tombstone is there. What the tombstone knew of is
//!   erased; an edit that it did not know of stays readable in the log.
//! - **Current** is otherwise the greatest eligible version by (clock, author, version id); other
//!   eligible versions that nobody replaced are its siblings.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::hlc::Hlc;
use super::version::{Kind, Op, Payload, VersionId};
use crate::clock::Timestamp;
use crate::model::MemoryId;

/// The field of a root's `meta` that opens a memory to others.
pub const EDITORS: &str = "editors";
/// Its value: whoever may write to the namespace.
pub const EDITORS_NAMESPACE: &str = "namespace";

/// One version of an object, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its place in the local log.
    pub seq: i64,
    /// Its id.
    pub id: VersionId,
    /// Who signed.
    pub author: [u8; 32],
    /// Its text is here.
    pub has_body: bool,
    /// What was signed.
    pub payload: Payload,
}

impl Candidate {
    fn rank(&self) -> (&str, &[u8; 32], &VersionId) {
        // Clock values have one spelling, which sorts.
        (&self.payload.hlc, &self.author, &self.id)
    }

    fn is_root(&self) -> bool {
        self.payload.op == Op::Put && self.payload.parents.is_empty()
    }
}

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its first version, or every text, is not here.
    Absent,
    /// It was deleted.
    Deleted {
        /// Places of the versions whose text goes.
        erased: Vec<i64>,
    },
    /// It is shown.
    Live {
        /// Place of the current version.
        seq: i64,
        /// Places of concurrent versions, greatest first.
        siblings: Vec<i64>,
    },
}

/// What an object is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Of what kind; that of its root.
    pub kind: Option<Kind>,
    /// Who owns it; `None`: its root is not here.
    pub owner: Option<[u8; 32]>,
    /// The namespace that others may edit it in; `None`: only its owner may.
    pub editors: Option<String>,
    /// What it is.
    pub state: State,
}

/// Which keys are one author: each key with the first one of its line of rotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities(BTreeMap<[u8; 32], [u8; 32]>);

impl Identities {
    /// From pairs (old key, new key).
    pub fn new(rotations: impl IntoIterator<Item = ([u8; 32], [u8; 32])>) -> Self {
        let before: BTreeMap<_, _> = rotations.into_iter().map(|(old, new)| (new, old)).collect();
        let first = |key: &[u8; 32]| {
            let (mut at, mut steps) = (*key, 0);
            while let Some(old) = before.get(&at).filter(|_| steps < before.len()) {
                at = *old;
                steps += 1;
            }
            at
        };
        Self(before.keys().map(|key| (*key, first(key))).collect())
    }

    /// Every key of the author who has `key`, that one included.
    #[must_use]
    pub fn line_of(&self, key: &[u8; 32]) -> Vec<[u8; 32]> {
        let name = self.of(key);
        let others = self.0.iter().filter(|(_, first)| **first == name);
        let mut line: BTreeSet<[u8; 32]> = others.map(|(key, _)| *key).collect();
        line.extend([name, *key]);
        line.into_iter().collect()
    }

    /// The name that all keys of one author share.
    #[must_use]
    pub fn of(&self, key: &[u8; 32]) -> [u8; 32] {
        self.0.get(key).copied().unwrap_or(*key)
    }
}

/// The id of the object that `author` makes as its version number `author_seq` at `now`: a UUIDv7
/// whose random bits are a hash of both, so that nobody else can claim to have made it first.
#[must_use]
pub fn object_id(author: &[u8; 32], author_seq: u64, now: Timestamp) -> MemoryId {
    let mut hasher = Sha256::new();
    hasher.update(b"hallmark-object-v1\0");
    hasher.update(author);
    hasher.update(author_seq.to_be_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bits = [0_u8; 10];
    bits.copy_from_slice(&digest[..10]);
    MemoryId::new(now, bits)
}

fn names_its_maker(object: MemoryId, root: &Candidate) -> bool {
    let mut ms = [0_u8; 8];
    ms[2..].copy_from_slice(&object.as_bytes()[..6]);
    let us = i64::try_from(u64::from_be_bytes(ms) * 1000).unwrap_or(i64::MAX);
    object_id(&root.author, root.payload.seq, Timestamp::from_micros(us)) == object
}

/// Works out what `object` is.
#[must_use]
pub fn resolve(object: MemoryId, all: &[Candidate], identities: &Identities) -> Resolution {
    let root = all
        .iter()
        .filter(|candidate| candidate.is_root())
        .min_by_key(|root| (!names_its_maker(object, root), root.rank()));
    let Some(root) = root else {
        return Resolution {
            kind: None,
            owner: None,
            editors: None,
            state: State::Absent,
        };
    };
    let owner = identities.of(&root.author);
    let open = root.payload.meta.get(EDITORS).map(String::as_str) == Some(EDITORS_NAMESPACE);
    let editors = open.then(|| root.payload.ns.clone());
    let eligible: Vec<&Candidate> = all
        .iter()
        .filter(|candidate| candidate.payload.kind == root.payload.kind)
        .filter(|candidate| {
            identities.of(&candidate.author) == owner
                || editors.as_ref() == Some(&candidate.payload.ns)
        })
        .collect();
    Resolution {
        kind: Some(root.payload.kind),
        owner: Some(owner),
        editors,
        state: state_of(&eligible),
    }
}

fn state_of(eligible: &[&Candidate]) -> State {
    if eligible.iter().any(|v| v.payload.op == Op::Delete) {
        return State::Deleted {
            erased: known_to_tombstones(eligible),
        };
    }
    let shown = eligible.iter().filter(|v| v.has_body);
    let Some(current) = shown.clone().max_by_key(|v| v.rank()) else {
        return State::Absent;
    };
    let replaced: BTreeSet<&str> = eligible
        .iter()
        .flat_map(|v| v.payload.parents.iter().map(String::as_str))
        .collect();
    let mut siblings: Vec<&&Candidate> = shown
        .filter(|v| v.id != current.id && !replaced.contains(v.id.to_string().as_str()))
        .collect();
    siblings.sort_by(|a, b| b.rank().cmp(&a.rank()));
    State::Live {
        seq: current.seq,
        siblings: siblings.iter().map(|v| v.seq).collect(),
    }
}

/// The tombstones' ancestors: what was deleted by who saw it.
fn known_to_tombstones(eligible: &[&Candidate]) -> Vec<i64> {
    let by_id: BTreeMap<String, &Candidate> =
        eligible.iter().map(|v| (v.id.to_string(), *v)).collect();
    let mut waiting: Vec<&Candidate> = eligible
        .iter()
        .filter(|v| v.payload.op == Op::Delete)
        .copied()
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(version) = waiting.pop() {
        if seen.insert(version.seq) {
            let parents = version.payload.parents.iter();
            waiting.extend(parents.filter_map(|parent| by_id.get(parent).copied()));
        }
    }
    seen.into_iter().collect()
}

/// The clock value of a payload that was checked before.
#[must_use]
pub fn clock_of(payload: &Payload) -> Hlc {
    payload.hlc.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seq: i64, author: u8, ms: u64, op: Op, parents: &[u8]) -> Candidate {
        Candidate {
            seq,
            id: VersionId([u8::try_from(seq).unwrap(); 32]),
            author: [author; 32],
            has_body: op == Op::Put,
            payload: Payload {
                author: String::new(),
                content_sha256: String::new(),
                hlc: Hlc { ms, counter: 0 }.to_string(),
                id: String::new(),
                kind: Kind::Memory,
                meta: BTreeMap::new(),
                ns: "team".to_owned(),
                op,
                parents: parents
                    .iter()
                    .map(|p| VersionId([*p; 32]).to_string())
                    .collect(),
                prev: String::new(),
                seq: u64::try_from(seq).unwrap(),
            },
        }
    }

    fn open(mut root: Candidate) -> Candidate {
        let open = (EDITORS.to_owned(), EDITORS_NAMESPACE.to_owned());
        root.payload.meta.extend([open]);
        root
    }

    fn of(object: MemoryId, all: &[Candidate]) -> Resolution {
        resolve(object, all, &Identities::default())
    }

    const ANY: MemoryId = MemoryId::from_bytes([9; 16]);

    #[test]
    fn another_author_neither_edits_nor_deletes_what_is_not_shared() {
        let root = version(1, 1, 10, Op::Put, &[]);
        let edit = version(2, 2, 20, Op::Put, &[1]);
        let tombstone = version(3, 2, 30, Op::Delete, &[1]);
        let found = of(ANY, &[root, edit, tombstone]);
        assert_eq!(
            found.state,
            State::Live {
                seq: 1,
                siblings: vec![]
            }
        );
    }

    #[test]
    fn in_a_shared_memory_concurrent_edits_stay_as_siblings() {
        let root = open(version(1, 1, 10, Op::Put, &[]));
        let mine = version(2, 1, 20, Op::Put, &[1]);
        let theirs = version(3, 2, 21, Op::Put, &[1]);
        let found = of(ANY, &[theirs.clone(), root, mine]);
        assert_eq!(
            found.state,
            State::Live {
                seq: 3,
                siblings: vec![2]
            }
        );
        let mut elsewhere = theirs;
        elsewhere.payload.ns = "mine".to_owned();
        assert_eq!(
            of(ANY, &[open(version(1, 1, 10, Op::Put, &[])), elsewhere]).state,
            State::Live {
                seq: 1,
                siblings: vec![]
            }
        );
    }

    #[test]
    fn a_tombstone_is_final_and_erases_only_what_it_knew() {
        let root = version(1, 1, 10, Op::Put, &[]);
        let tombstone = version(2, 1, 20, Op::Delete, &[1]);
        let late = version(3, 1, 90, Op::Put, &[1]);
        let found = of(ANY, &[late, tombstone, root]);
        assert_eq!(found.state, State::Deleted { erased: vec![1, 2] });
    }

    #[test]
    fn an_id_that_names_its_maker_cannot_be_claimed_by_an_earlier_date() {
        let now = Timestamp::from_micros(5_000_000);
        let object = object_id(&[1; 32], 7, now);
        let mut root = version(7, 1, 5_000, Op::Put, &[]);
        root.payload.seq = 7;
        let thief = version(2, 2, 1, Op::Put, &[]);
        let found = of(object, &[thief, root]);
        assert_eq!(found.owner, Some([1; 32]));
        assert_eq!(
            found.state,
            State::Live {
                seq: 7,
                siblings: vec![]
            }
        );
    }

    #[test]
    fn keys_of_one_line_of_rotations_are_one_author() {
        let identities = Identities::new([
            ([1; 32], [2; 32]),
            ([2; 32], [3; 32]),
            ([8; 32], [9; 32]),
            ([9; 32], [8; 32]),
        ]);
        assert_eq!(identities.of(&[3; 32]), [1; 32]);
        let root = version(1, 1, 10, Op::Put, &[]);
        let edit = version(2, 3, 20, Op::Put, &[1]);
        let found = resolve(ANY, &[root, edit], &identities);
        assert_eq!(
            found.state,
            State::Live {
                seq: 2,
                siblings: vec![]
            }
        );
    }
}
