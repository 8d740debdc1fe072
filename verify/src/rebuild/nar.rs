//! NAR: the one archive format in which a file tree has exactly one serialisation, so that a
//! digest of it pins the tree (Nix manual, «Nix Archive»). Times, owners and modes other than the
//! executable bit do not count.

use std::{io, path::Path};

use nix_nar::{Decoder, Encoder};
use sbom::digest::Sha256Digest;

/// SHA-256 over the NAR of the file or folder at `path`, as `nix-hash --type sha256` prints it.
///
/// # Errors
/// Where something cannot be read, or a name is not UTF-8.
pub fn digest(path: &Path) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256Digest::hasher();
    write(path, &mut hasher)?;
    Ok(hasher.finish())
}

/// Writes the NAR of `path` to `out`.
///
/// # Errors
/// Where something cannot be read or written.
pub fn write(path: &Path, out: &mut dyn io::Write) -> io::Result<()> {
    let mut encoder = Encoder::new(path).map_err(io::Error::other)?;
    io::copy(&mut encoder, out)?;
    Ok(())
}

/// Unpacks a NAR to `target`, which must not exist. The caller checks [`digest`] afterwards.
///
/// # Errors
/// Where the archive is malformed or `target` cannot be written.
pub fn unpack(from: &mut dyn io::Read, target: &Path) -> io::Result<()> {
    let decoder = Decoder::new(from).map_err(io::Error::other)?;
    decoder.unpack(target).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_file_is_the_one_that_nix_prints() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hello");
        std::fs::write(&file, "hello\n").unwrap();
        // `printf 'hello\n' >hello; nix-hash --type sha256 hello`
        assert_eq!(
            digest(&file).unwrap().to_string(),
            "1c37d01af40be2e80691de3cc3df44377a699afbb17c68f080964b2fd071fc13"
        );
    }

    #[test]
    fn a_tree_survives_packing_and_unpacking() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("b/empty")).unwrap();
        std::fs::write(tree.join("b.txt"), "x").unwrap();
        std::os::unix::fs::symlink("../b.txt", tree.join("b/link")).unwrap();
        let mut bytes = Vec::new();
        write(&tree, &mut bytes).unwrap();
        let copy = folder.path().join("copy");
        unpack(&mut bytes.as_slice(), &copy).unwrap();
        assert_eq!(digest(&tree).unwrap(), digest(&copy).unwrap());
    }
}
