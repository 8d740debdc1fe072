//! Answers: what does this git bundle hold? Versions 2 and 3, complete ones only.
//!
//! The pack is indexed into a scratch repository; on the way each object is unpacked and
//! hashed. git, Documentation/gitformat-bundle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::ObjectId;
use super::error::{GitError, MAX_OBJECT_BYTES};

/// The largest bundle that is unpacked, in bytes.
const MAX_BUNDLE_BYTES: u64 = 4 << 30;

/// The longest header line, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// The most refs in a bundle.
const MAX_REFS: usize = 100_000;

struct Header {
    hash: gix::hash::Kind,
    refs: BTreeMap<String, ObjectId>,
}

/// Unpacks a bundle into a new scratch repository; also returns its refs by full name.
pub(super) fn unpack(
    path: &Path,
) -> Result<(tempfile::TempDir, BTreeMap<String, ObjectId>), GitError> {
    let io = |source| GitError::Io {
        path: path.to_owned(),
        source,
    };
    let refused = |why: String| GitError::NotABundle {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(io)?;
    let size_bytes = file.metadata().map_err(io)?.len();
    if size_bytes > MAX_BUNDLE_BYTES {
        return Err(refused(format!(
            "it is {size_bytes} bytes long, more than {MAX_BUNDLE_BYTES} are not read"
        )));
    }
    let mut reader = BufReader::new(file);
    let header = read_header(&mut reader).map_err(refused)?;
    let scratch = tempfile::Builder::new()
        .prefix("source-bundle-")
        .tempdir()
        .map_err(io)?;
    let packs = lay_out(scratch.path(), header.hash).map_err(|source| GitError::Io {
        path: scratch.path().to_owned(),
        source,
    })?;
    let options = gix_pack::bundle::write::Options {
        thread_limit: Some(2),
        alloc_limit_bytes: usize::try_from(MAX_OBJECT_BYTES).ok(),
        ..Default::default()
    };
    let written = gix_pack::Bundle::write_to_directory(
        &mut reader,
        Some(&packs),
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        None::<gix::objs::find::Never>,
        header.hash,
        options,
    )
    .map_err(|error| refused(format!("its pack is damaged: {error}")))?;
    ends_with_its_pack(&written).map_err(refused)?;
    Ok((scratch, header.refs))
}

/// The reader may have copied more than the pack: then the last bytes are not its checksum.
fn ends_with_its_pack(written: &gix_pack::bundle::write::Outcome) -> Result<(), String> {
    let pack = written
        .to_bundle()
        .ok_or("its pack is empty")?
        .map_err(|error| error.to_string())?;
    let sealed = pack
        .pack
        .verify_checksum(&mut gix::progress::Discard, &AtomicBool::new(false));
    if sealed.is_ok() && pack.pack.checksum() == pack.index.pack_checksum() {
        Ok(())
    } else {
        Err(String::from("something follows its pack"))
    }
}

fn lay_out(root: &Path, hash: gix::hash::Kind) -> std::io::Result<std::path::PathBuf> {
    let packs = root.join("objects/pack");
    fs::create_dir_all(&packs)?;
    fs::create_dir_all(root.join("refs/heads"))?;
    fs::write(root.join("HEAD"), "ref: refs/heads/none\n")?;
    let config = if hash == gix::hash::Kind::Sha1 {
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    } else {
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    };
    fs::write(root.join("config"), config)?;
    Ok(packs)
}

fn read_header(reader: &mut impl BufRead) -> Result<Header, String> {
    let mut hash = gix::hash::Kind::Sha1;
    let mut refs = BTreeMap::new();
    match line(reader)?.as_str() {
        "# v2 git bundle" | "# v3 git bundle" => {}
        _ => {
            return Err(String::from(
                "its first line is not `# v2 git bundle` or `# v3 git bundle`",
            ));
        }
    }
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        if let Some(capability) = line.strip_prefix('@') {
            hash = match capability {
                "object-format=sha1" => gix::hash::Kind::Sha1,
                "object-format=sha256" => gix::hash::Kind::Sha256,
                other => {
                    return Err(format!(
                        "it needs the capability `{other}`, which is not known here"
                    ));
                }
            };
            continue;
        }
        if line.starts_with('-') {
            return Err(String::from(
                "it builds on commits that it does not hold; a complete bundle is needed",
            ));
        }
        let (id, name) = line
            .split_once(' ')
            .ok_or("a line of its header is no ref")?;
        let id = ObjectId::from_hex(id.as_bytes())
            .ok()
            .filter(|id| id.kind() == hash)
            .ok_or_else(|| format!("its ref `{name}` has no object id"))?;
        if name != "HEAD"
            && (!name.starts_with("refs/") || gix::refs::FullName::try_from(name).is_err())
        {
            return Err(format!("`{name}` is not a ref"));
        }
        if refs.insert(name.to_owned(), id).is_some() || refs.len() > MAX_REFS {
            return Err(format!("it lists the ref `{name}` twice, or too many refs"));
        }
    }
    Ok(Header { hash, refs })
}

fn line(reader: &mut impl BufRead) -> Result<String, String> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.pop() != Some(b'\n') {
        return Err(String::from("its header ends early or has an endless line"));
    }
    String::from_utf8(bytes).map_err(|_| String::from("its header is not text"))
}
