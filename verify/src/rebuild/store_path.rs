//! Where Nix puts a tree that is pinned by its NAR hash (Nix manual, «Store Path Specification»).
//!
//! Counting the path instead of asking lets a machine without Nix's tools see that the store
//! already has an input, and lets the engine check that Nix put it where the expressions look.

use std::path::PathBuf;

use sbom::digest::Sha256Digest;

/// The digits of Nix's base 32: no `e`, `o`, `t`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Path in `/nix/store` of a tree added with `nix-store --add-fixed --recursive sha256`.
#[must_use]
pub fn of_tree(name: &str, nar_sha256: Sha256Digest) -> PathBuf {
    let fingerprint = format!("source:sha256:{nar_sha256}:/nix/store:{name}");
    let digest = Sha256Digest::of(fingerprint.as_bytes());
    PathBuf::from(format!(
        "/nix/store/{}-{name}",
        base32(&fold(digest.as_bytes()))
    ))
}

/// Folds 32 bytes into 20, as Nix does for store paths.
fn fold(digest: &[u8; 32]) -> [u8; 20] {
    let mut folded = [0; 20];
    for (i, byte) in digest.iter().enumerate() {
        folded[i % 20] ^= byte;
    }
    folded
}

/// Nix's base 32: the last digit first.
fn base32(bytes: &[u8; 20]) -> String {
    (0..32)
        .rev()
        .map(|n| {
            let bit = n * 5;
            let low = u16::from(bytes[bit / 8]);
            let high = u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
            let digit = ((high << 8 | low) >> (bit % 8)) & 31;
            DIGITS[usize::from(digit)] as char
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_one_that_nix_store_add_fixed_prints() {
        let nar = "def3c0ba20524a578b2bb550717b3f2a6b5f296bafd51f664d08fa074a3bc85c";
        assert_eq!(
            of_tree("input-root", nar.parse().unwrap()).to_str(),
            Some("/nix/store/2ywsxk102dglmm9fklvqspmmbsfjr8qf-input-root")
        );
    }
}
