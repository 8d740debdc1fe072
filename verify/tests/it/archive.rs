//! A bundle as one `.tar.zst` file, and archives that are none.

use std::path::Path;

use tar::{Builder, EntryType, Header};
use verify::load::bundle::{LoadError, LoadedBundle};
use verify::report::assay;
use verify::verdict::Verdict;

use crate::fixture::Release;

fn packed(to: &Path, fill: impl FnOnce(&mut Builder<zstd::Encoder<'static, std::fs::File>>)) {
    let encoder = zstd::Encoder::new(std::fs::File::create(to).unwrap(), 3).unwrap();
    let mut tar = Builder::new(encoder);
    fill(&mut tar);
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn archive_of_a_good_bundle_pass() {
    let release = Release::good();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar.zst");
    packed(&file, |tar| {
        tar.append_dir_all("tiny-0.1.0-x86_64-linux", release.root())
            .unwrap()
    });
    let mut request = release.request();
    request.bundle = LoadedBundle::read(&file).unwrap();
    let unpacked = request.bundle.root().to_owned();
    let report = assay(request);
    assert_eq!(
        (report.verdict, report.bundle.as_str()),
        (Verdict::Pass, "tiny-0.1.0-x86_64-linux")
    );
    assert!(!unpacked.exists(), "nothing is left behind");
}

#[test]
fn archive_with_links_two_tops_or_a_name_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar.zst");
    let entry = |path: &str, kind: EntryType| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(if kind == EntryType::Regular { 1 } else { 0 });
        // Written by hand: the library would not write a path that climbs.
        let name = header.as_old_mut();
        name.name[..path.len()].copy_from_slice(path.as_bytes());
        if kind == EntryType::Symlink {
            name.linkname[..4].copy_from_slice(b"/etc");
        }
        header.set_cksum();
        header
    };
    let regular = EntryType::Regular;
    for entries in [
        vec![("top/link", EntryType::Symlink)],
        vec![("top/a", regular), ("other/a", regular)],
        vec![("top/a", regular), ("top/a", regular)],
        vec![("top/../../a", regular)],
        vec![("/tmp/a", regular)],
        vec![("top/fifo", EntryType::Fifo)],
        vec![],
    ] {
        packed(&file, |tar| {
            for (path, kind) in &entries {
                let content: &[u8] = if *kind == regular { b"x" } else { b"" };
                tar.append(&entry(path, *kind), content).unwrap();
            }
        });
        let refused = LoadedBundle::read(&file);
        assert!(
            matches!(refused, Err(LoadError::Archive { .. })),
            "{entries:?}"
        );
    }
    std::fs::write(&file, b"not zstd").unwrap();
    assert!(matches!(
        LoadedBundle::read(&file),
        Err(LoadError::Archive { .. })
    ));
}
