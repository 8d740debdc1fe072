//! Bundles without git, and files that land where they should and nowhere else.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use verify::git::{GitError, Repository};

use crate::fixture::{Repo, feed, run, text};

#[test]
fn bundle_is_checked_out_with_modes_links_and_one_time() {
    let repo = Repo::new();
    symlink("../README", {
        std::fs::create_dir(repo.path().join("d")).unwrap();
        repo.path().join("d/link")
    })
    .unwrap();
    let script = repo.path().join("run.sh");
    std::fs::write(&script, "#!/bin/sh\r\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(
        repo.path().join(".gitattributes"),
        "* text eol=lf\n*.sh export-ignore\n",
    )
    .unwrap();
    let commit = repo.commit_all();
    let bundle = Repository::from_bundle(&repo.bundle("b", &["--all"], &[])).unwrap();
    assert_eq!(bundle.resolve("refs/heads/main").unwrap(), Some(commit));
    assert_eq!(bundle.commit(commit).unwrap().time_s, 1_767_225_600);

    let out = tempfile::tempdir().unwrap();
    bundle.check_out(commit, &out.path().join("src")).unwrap();
    let at = |path: &str| out.path().join("src").join(path);
    assert_eq!(
        std::fs::read_link(at("d/link")).unwrap().to_str(),
        Some("../README")
    );
    let paths: Vec<String> = bundle
        .files(commit)
        .unwrap()
        .into_iter()
        .map(|file| file.path)
        .collect();
    assert_eq!(paths, [".gitattributes", "README", "d/link", "run.sh"]);
    for (path, mode) in [
        ("README", 0o644),
        ("run.sh", 0o755),
        ("d", 0o755),
        ("d/link", 0o777),
        ("", 0o755),
    ] {
        let metadata = std::fs::symlink_metadata(at(path)).unwrap();
        assert_eq!(
            (metadata.mode() & 0o777, metadata.mtime()),
            (mode, 1),
            "{path}"
        );
    }
    let read = bundle.read_file(commit, "README").unwrap().unwrap();
    assert_eq!(std::fs::read(at("README")).unwrap(), read);
    assert_eq!(bundle.read_file(commit, "d").unwrap(), None);
    assert_eq!(bundle.read_file(commit, "d/link").unwrap(), None);
    assert!(matches!(
        bundle.check_out(commit, out.path()),
        Err(GitError::NotEmpty(_))
    ));
}

#[test]
fn link_out_of_the_tree_and_submodule_are_refused() {
    for (mode, content) in [
        ("120000", Some("/etc/passwd")),
        ("120000", Some("../x")),
        ("160000", None),
    ] {
        let repo = Repo::new();
        let id = match content {
            Some(target) => text(&feed(
                repo.git().args(["hash-object", "-w", "--stdin"]),
                target.as_bytes(),
            )),
            None => repo.rev("HEAD").to_string(),
        };
        run(repo.git().args([
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("{mode},{id},bad"),
        ]));
        run(repo.git().args(["commit", "--quiet", "--message", "bad"]));
        let repository = Repository::open(repo.path()).unwrap();
        let out = tempfile::tempdir().unwrap();
        let refused = repository
            .check_out(repo.rev("HEAD"), out.path())
            .unwrap_err();
        assert!(
            matches!(refused, GitError::UnsafePath(_) | GitError::Submodule(_)),
            "{refused}"
        );
    }
}

#[test]
fn path_that_climbs_or_hides_in_dot_git_is_refused() {
    for name in ["..", ".git", ".GIT"] {
        let repo = Repo::new();
        let blob = text(&feed(
            repo.git().args(["hash-object", "-w", "--stdin"]),
            b"x",
        ));
        let tree = [
            format!("100644 {name}\0").as_bytes(),
            repo_id(&blob).as_slice(),
        ]
        .concat();
        let mut git = repo.git();
        let tree = text(&feed(
            git.args(["hash-object", "-t", "tree", "-w", "--literally", "--stdin"]),
            &tree,
        ));
        let commit = text(&run(repo.git().args(["commit-tree", "-m", "x", &tree])));
        let repository = Repository::open(repo.path()).unwrap();
        let id = verify::git::ObjectId::from_hex(commit.as_bytes()).unwrap();
        assert!(matches!(repository.files(id), Err(GitError::UnsafePath(bad)) if bad == name));
    }
}

fn repo_id(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn object_whose_bytes_are_others_is_refused() {
    let repo = Repo::new();
    let commit = repo.commit("a", "one\n");
    let (one, two) = (repo.rev("HEAD:a"), repo.rev("HEAD:README"));
    let loose = |id: verify::git::ObjectId| {
        let hex = id.to_string();
        repo.path()
            .join(".git/objects")
            .join(&hex[..2])
            .join(&hex[2..])
    };
    std::fs::remove_file(loose(one)).unwrap();
    std::fs::copy(loose(two), loose(one)).unwrap();
    let repository = Repository::open(repo.path()).unwrap();
    assert!(matches!(repository.read_file(commit, "a"), Err(GitError::WrongHash(id)) if id == one));
}

#[test]
fn damaged_cut_and_incomplete_bundles_are_refused() {
    let repo = Repo::new();
    repo.commit("a", &"some text\n".repeat(100));
    let good = std::fs::read(repo.bundle("b", &["main"], &[])).unwrap();
    let out = tempfile::tempdir().unwrap();
    let refuse = |bytes: &[u8], what: &str| {
        let path = out.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        assert!(
            matches!(
                Repository::from_bundle(&path),
                Err(GitError::NotABundle { .. })
            ),
            "{what}"
        );
    };
    refuse(b"", "empty");
    refuse(b"# v2 git bundle\n", "cut in its header");
    refuse(&good[..good.len() - 30], "cut in its pack");
    refuse(&[&good[..], b"more"].concat(), "something behind the pack");
    for back in [5, 25, 60, 200] {
        let mut bad = good.clone();
        let at = bad.len() - back;
        bad[at] ^= 1;
        refuse(&bad, "a flipped bit");
    }
    let incomplete = std::fs::read(repo.bundle("c", &["HEAD~1..main"], &[])).unwrap();
    refuse(&incomplete, "a bundle that builds on another commit");
}
