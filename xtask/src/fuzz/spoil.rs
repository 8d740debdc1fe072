//! Spoils documents: a small generator of random numbers and the ways to change bytes.

/// SplitMix64 (Steele, Lea and Flood 2014): not for secrets, the same numbers for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}

/// Bytes on which parsers stumble: ends, signs, quotes, what is no UTF-8.
const STUMBLES: &[u8] = &[
    0x00, 0x01, 0x7f, 0x80, 0xc3, 0xff, b'"', b'\\', b'\n', b'-', b'{', b'[', b'0', b'9',
];

/// A copy of `good`, changed in one to four places; sometimes crossed with another document.
pub(super) fn spoilt(good: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let length = random.below(32.min(bytes.len() - at.min(bytes.len()) + 1));
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = STUMBLES[random.below(STUMBLES.len())],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + length).min(bytes.len()))),
            4 => {
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => bytes.insert(at, STUMBLES[random.below(STUMBLES.len())]),
            6 => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ if bytes.len() >= 4 => {
                let at = at.min(bytes.len() - 4);
                let number = u32::try_from(random.below(usize::MAX) & 0xffff_ffff).unwrap_or(0);
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            _ => bytes.clear(),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_spoils_in_the_same_way() {
        let good = vec![b"a document".to_vec(), b"another".to_vec()];
        let run = || {
            let mut random = Random::new(3);
            (0..100)
                .map(|_| spoilt(&good[0], &good, &mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let changed = run()
            .iter()
            .filter(|document| **document != good[0])
            .count();
        assert!(changed > 90, "only {changed} of 100 were changed");
    }

    #[test]
    fn an_empty_document_can_be_spoilt() {
        let empty = vec![Vec::new()];
        let mut random = Random::new(1);
        for _ in 0..200 {
            spoilt(&empty[0], &empty, &mut random);
        }
    }
}
