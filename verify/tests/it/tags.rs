//! Each way in which a tag can fall short is refused by its own name.

use std::collections::BTreeSet;

use verify::git::{ObjectKind, Repository};
use verify::trust::openpgp::SignatureRules;
use verify::trust::tag::{Authorised, TagRefusal, verify_tag};

use crate::fixture::repo::judge_in;
use crate::fixture::{Gnupg, Repo, SIGNED, feed, now, run, text};

const SHA1_UNTIL_2027: u64 = 1_798_761_600;

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn good_tag_is_verified_and_names_its_commit_and_signer() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let tag = repo.judge("v1", &gnupg, &[&key]).unwrap();
    assert_eq!(tag.commit(), repo.rev("HEAD"));
    assert_eq!(tag.id(), repo.rev("refs/tags/v1"));
    assert_eq!(tag.signature().certificate(), &key);
    assert_eq!(tag.signature().holder(), "alice <alice@example.org>");
    assert!(["SHA256", "SHA512"].contains(&tag.signature().hash()));
}

#[test]
fn missing_lightweight_and_unsigned_tags_are_refused() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    run(repo.git().args(["tag", "light"]));
    run(repo
        .git()
        .args(["tag", "--annotate", "--message", "x", "plain"]));
    let judge = |name| repo.judge(name, &gnupg, &[&key]).unwrap_err();
    assert!(matches!(judge("none"), TagRefusal::NoSuchTag { name } if name.as_str() == "none"));
    assert!(
        matches!(judge("light"), TagRefusal::Lightweight { kind: ObjectKind::Commit, id } if id == repo.rev("HEAD"))
    );
    assert_eq!(judge("plain"), TagRefusal::Unsigned);
}

#[test]
fn ssh_signed_tag_is_refused_as_such() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    let ssh = gnupg.home().join("ssh");
    run(std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&ssh));
    let mut git = repo.git();
    git.args(["-c", "gpg.format=ssh", "-c"])
        .arg(format!("user.signingkey={}", ssh.display()));
    run(git.args(["tag", "--sign", "--message", "x", "v1"]));
    assert_eq!(
        repo.judge("v1", &gnupg, &[&key]).unwrap_err(),
        TagRefusal::SshSigned
    );
}

#[test]
fn x509_signed_tag_is_refused_as_such() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    run(repo
        .git()
        .args(["tag", "--annotate", "--message", "x", "v1"]));
    let mut bytes = repo.tag_bytes("v1");
    bytes.extend(b"-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----\n");
    repo.raw_tag("v1", &bytes);
    assert_eq!(
        repo.judge("v1", &gnupg, &[&key]).unwrap_err(),
        TagRefusal::X509Signed
    );
}

/// An X.509 certificate of gpgsm's own, and a program with which git signs by it.
fn gpgsm(gnupg: &Gnupg) -> Option<(String, std::path::PathBuf)> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = gnupg.home();
    let parameters = "Key-Type: rsa\nKey-Length: 2048\nKey-Usage: sign\nSerial: random\n\
                      Name-DN: CN=tester\nName-Email: t@example.org\nHash-Algo: SHA256\n";
    std::fs::write(home.join("parameters"), parameters).unwrap();
    std::fs::write(home.join("gpg-agent.conf"), "allow-loopback-pinentry\n").unwrap();
    let program = home.join("gpgsm");
    let script = format!(
        "#!/bin/sh\nexec gpgsm --homedir '{}' --batch --no-tty --disable-crl-checks \
         --pinentry-mode loopback --passphrase-fd 3 \"$@\" 3</dev/null\n",
        home.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let certificate = home.join("certificate");
    let made = std::process::Command::new(&program)
        .args(["--generate-key", "--output"])
        .args([&certificate, &home.join("parameters")])
        .output()
        .ok()
        .filter(|output| output.status.success());
    if made.is_none() {
        println!("skipped: gpgsm is not there, or makes no certificate");
        return None;
    }
    let call = |args: &[&str]| run(std::process::Command::new(&program).args(args)).stdout;
    call(&["--import", certificate.to_str().unwrap()]);
    let listed = String::from_utf8(call(&["--list-keys", "--with-colons"])).unwrap();
    let line = listed
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .unwrap();
    let fingerprint = line.split(':').nth(9).unwrap().to_owned();
    std::fs::write(
        home.join("trustlist.txt"),
        format!("{fingerprint} S relax\n"),
    )
    .unwrap();
    // The agent reads its list of trusted roots when it starts.
    run(std::process::Command::new("gpgconf")
        .arg("--homedir")
        .arg(home)
        .args(["--kill", "gpg-agent"]));
    Some((fingerprint, program))
}

#[test]
fn x509_signed_tag_of_real_gpgsm_is_refused_as_such() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let Some((certificate, program)) = gpgsm(&gnupg) else {
        return;
    };
    let key = gnupg.key("alice");
    let mut git = repo.git();
    git.args(["-c", "gpg.format=x509", "-c"])
        .arg(format!("gpg.x509.program={}", program.display()));
    run(git.args(["tag", "--local-user", &certificate, "--message", "x", "v1"]));
    let bytes = String::from_utf8(repo.tag_bytes("v1")).unwrap();
    assert!(bytes.contains("-----BEGIN SIGNED MESSAGE-----"), "{bytes}");
    assert_eq!(
        repo.judge("v1", &gnupg, &[&key]).unwrap_err(),
        TagRefusal::X509Signed
    );
}

#[test]
fn tag_by_a_signing_subkey_counts_until_the_subkey_is_revoked() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    let mut add = gnupg.command("20250102T000000");
    run(add.args(["--quick-add-key", key.as_str(), "ed25519", "sign", "never"]));
    let listing = text(&run(gnupg
        .command(SIGNED)
        .args(["--with-colons", "--list-keys"])));
    let subkey = listing
        .lines()
        .filter(|line| line.starts_with("fpr:"))
        .nth(1)
        .and_then(|line| line.split(':').nth(9))
        .unwrap()
        .to_owned();
    repo.tag("v1", &gnupg, &key);
    let tag = repo.judge("v1", &gnupg, &[&key]).unwrap();
    assert_eq!(tag.signature().certificate(), &key);
    assert_eq!(tag.signature().key().as_str(), subkey, "the subkey signed");

    // A key of which only the subkey is revoked: the primary key is as good as ever.
    let mut edit = std::process::Command::new("gpg");
    edit.arg("--homedir").arg(gnupg.home()).args([
        "--no-tty",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--faked-system-time",
        "20260301T000000",
        "--command-fd",
        "0",
        "--edit-key",
        key.as_str(),
    ]);
    feed(&mut edit, b"key 1\nrevkey\ny\n1\nstolen\n\ny\nsave\n");
    let refused = repo.judge("v1", &gnupg, &[&key]).unwrap_err();
    assert!(
        matches!(&refused, TagRefusal::KeyRevokedSince { reason, .. } if reason.contains("stolen")),
        "{refused}"
    );
}

#[test]
fn message_changed_after_signing_is_a_bad_signature() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let changed = replaced(&repo.tag_bytes("v1"), "\nrelease\n", "\nRelease\n");
    repo.raw_tag("v1", &changed);
    assert!(matches!(
        repo.judge("v1", &gnupg, &[&key]).unwrap_err(),
        TagRefusal::BadSignature(_)
    ));
}

#[test]
fn key_outside_the_keyring_is_unknown_and_outside_the_role_not_authorised() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let (alice, bob) = (gnupg.key("alice"), gnupg.key("bob"));
    repo.tag("v1", &gnupg, &alice);
    let unknown = repo.judge("v1", &gnupg, &[&bob]).unwrap_err();
    assert!(matches!(unknown, TagRefusal::UnknownKey { issuer } if issuer == alice.as_str()));

    let tag = Repository::open(repo.path())
        .unwrap()
        .tag(&"v1".parse().unwrap())
        .unwrap()
        .unwrap();
    let only_bob = Authorised::Only(BTreeSet::from([bob.clone()]));
    let rules = SignatureRules::strict(now());
    let refused = verify_tag(
        &tag,
        None,
        &gnupg.keyring(&[&alice, &bob]),
        &only_bob,
        &rules,
    )
    .unwrap_err();
    assert_eq!(refused, TagRefusal::KeyNotAuthorised { certificate: alice });
}

#[test]
fn expiry_before_and_after_signing_are_told_apart() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key_with("alice", "ed25519", "20260101T000000", "60d");
    repo.tag("since", &gnupg, &key);
    // gpg does not sign with an expired key, so it signs while the key is prolonged, and the
    // auditor holds the certificate of before.
    let short = gnupg.keyring(&[&key]);
    run(gnupg
        .command(SIGNED)
        .args(["--quick-set-expire", key.as_str(), "never"]));
    repo.tag_at("before", &gnupg, &key, "20260401T000000", "HEAD", "");
    let repository = Repository::open(repo.path()).unwrap();
    let judge = |name: &str, rules: &SignatureRules| {
        let tag = repository.tag(&name.parse().unwrap()).unwrap().unwrap();
        verify_tag(&tag, None, &short, &Authorised::WholeKeyring, rules)
    };
    let strict = SignatureRules::strict(now());
    assert!(matches!(
        judge("since", &strict).unwrap_err(),
        TagRefusal::KeyExpiredSince { .. }
    ));
    assert!(matches!(
        judge("before", &strict).unwrap_err(),
        TagRefusal::KeyExpired { .. }
    ));
    let lenient = strict.accept_expired_since(true);
    assert!(judge("since", &lenient).is_ok());
    assert!(matches!(
        judge("before", &lenient).unwrap_err(),
        TagRefusal::KeyExpired { .. }
    ));
}

#[test]
fn prolonged_key_counts_again() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key_with("alice", "ed25519", "20260101T000000", "60d");
    repo.tag("v1", &gnupg, &key);
    run(gnupg
        .command("20260215T000000")
        .args(["--quick-set-expire", key.as_str(), "2y"]));
    assert!(repo.judge("v1", &gnupg, &[&key]).is_ok());
}

#[test]
fn revocation_before_and_after_signing_are_told_apart() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("early", &gnupg, &key);
    repo.tag_at("late", &gnupg, &key, "20260401T000000", "HEAD", "");
    gnupg.revoke(&key, "20260301T000000", 1);
    let early = repo.judge("early", &gnupg, &[&key]).unwrap_err();
    assert!(
        matches!(&early, TagRefusal::KeyRevokedSince { reason, .. } if reason.contains("said the test")),
        "{early}"
    );
    let late = repo.judge("late", &gnupg, &[&key]).unwrap_err();
    assert!(
        matches!(late, TagRefusal::KeyRevokedAtSigning { .. }),
        "{late}"
    );
}

#[test]
fn retired_key_counts_only_where_the_rules_say_so_and_a_compromised_one_never() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let (retired, stolen) = (gnupg.key("alice"), gnupg.key("bob"));
    repo.tag("retired", &gnupg, &retired);
    repo.tag("stolen", &gnupg, &stolen);
    gnupg.revoke(&retired, "20260301T000000", 3);
    gnupg.revoke(&stolen, "20260301T000000", 1);
    let keyring = gnupg.keyring(&[&retired, &stolen]);
    let repository = Repository::open(repo.path()).unwrap();
    let judge = |name: &str, rules: &SignatureRules| {
        let tag = repository.tag(&name.parse().unwrap()).unwrap().unwrap();
        verify_tag(&tag, None, &keyring, &Authorised::WholeKeyring, rules)
    };
    let strict = SignatureRules::strict(now());
    assert!(matches!(
        judge("retired", &strict).unwrap_err(),
        TagRefusal::KeyRevokedSince { .. }
    ));
    let lenient = strict.accept_retired_since(true).accept_expired_since(true);
    assert!(judge("retired", &lenient).is_ok());
    assert!(matches!(
        judge("stolen", &lenient).unwrap_err(),
        TagRefusal::KeyRevokedSince { .. }
    ));
}

#[test]
fn sha1_signature_is_refused_unless_a_dated_exception_still_runs() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key_with("alice", "rsa3072", "20250101T000000", "never");
    repo.tag_at("v1", &gnupg, &key, SIGNED, "HEAD", "--digest-algo SHA1");
    let tag = Repository::open(repo.path())
        .unwrap()
        .tag(&"v1".parse().unwrap())
        .unwrap()
        .unwrap();
    let judge = |rules: &SignatureRules| {
        verify_tag(
            &tag,
            None,
            &gnupg.keyring(&[&key]),
            &Authorised::WholeKeyring,
            rules,
        )
    };
    let strict = SignatureRules::strict(now());
    assert_eq!(
        judge(&strict).unwrap_err(),
        TagRefusal::WeakHash {
            algorithm: String::from("SHA1")
        }
    );
    let until =
        |seconds| Some(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    assert!(judge(&strict.clone().accept_sha1_until(until(SHA1_UNTIL_2027))).is_ok());
    let over = strict.accept_sha1_until(until(1_700_000_000));
    assert!(matches!(
        judge(&over).unwrap_err(),
        TagRefusal::WeakHash { .. }
    ));
}

#[test]
fn old_signed_tag_under_a_new_name_is_refused() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v0.0.9", &gnupg, &key);
    run(repo.git().args([
        "update-ref",
        "refs/tags/v0.1.0",
        &repo.rev("refs/tags/v0.0.9").to_string(),
    ]));
    let refused = repo.judge("v0.1.0", &gnupg, &[&key]).unwrap_err();
    assert!(matches!(&refused, TagRefusal::NameMismatch { object, .. } if object == "v0.0.9"));
    assert_eq!(
        refused.to_string(),
        "the tag object is named `v0.0.9`, not `v0.1.0`"
    );
}

#[test]
fn tag_of_another_commit_than_the_one_that_is_built_is_refused() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let target = repo.rev("HEAD");
    let wanted = repo.commit("more", "more\n");
    let tag = Repository::open(repo.path())
        .unwrap()
        .tag(&"v1".parse().unwrap())
        .unwrap()
        .unwrap();
    let rules = SignatureRules::strict(now());
    let refused = verify_tag(
        &tag,
        Some(wanted),
        &gnupg.keyring(&[&key]),
        &Authorised::WholeKeyring,
        &rules,
    )
    .unwrap_err();
    assert_eq!(refused, TagRefusal::TargetMismatch { wanted, target });
}

#[test]
fn tag_of_a_tag_or_of_a_tree_is_refused() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("inner", &gnupg, &key);
    repo.tag_at("outer", &gnupg, &key, SIGNED, "inner", "");
    repo.tag_at("tree", &gnupg, &key, SIGNED, "HEAD^{tree}", "");
    for (name, target) in [("outer", "tag"), ("tree", "tree")] {
        let refused = repo.judge(name, &gnupg, &[&key]).unwrap_err();
        assert!(
            matches!(&refused, TagRefusal::TargetNotACommit { kind } if kind == target),
            "{refused}"
        );
    }
}

#[test]
fn text_before_or_after_the_signature_does_not_slip_in() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let good = repo.tag_bytes("v1");
    let mut trailing = good.clone();
    trailing.extend(b"\nand this too\n");
    let headers = replaced(&good, "\n\n", "\ngpgsig x\n\n");
    for bytes in [trailing, headers] {
        repo.raw_tag("v1", &bytes);
        let refused = repo.judge("v1", &gnupg, &[&key]).unwrap_err();
        assert!(matches!(refused, TagRefusal::Malformed { .. }), "{refused}");
    }
}

#[test]
fn packed_refs_packed_objects_worktrees_and_bare_repositories_are_read() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    run(repo.git().args(["gc", "--quiet", "--prune=now"]));
    assert!(repo.path().join(".git/packed-refs").exists());
    assert!(repo.judge("v1", &gnupg, &[&key]).is_ok());
    let beside = tempfile::tempdir().unwrap();
    let (work, bare) = (beside.path().join("work"), beside.path().join("bare"));
    run(repo
        .git()
        .args(["worktree", "add", "--quiet"])
        .arg(&work)
        .arg("v1"));
    run(repo
        .git()
        .args(["clone", "--quiet", "--bare", "."])
        .arg(&bare));
    for path in [work, bare] {
        let repository = Repository::open(&path).unwrap();
        assert!(
            judge_in(&repository, "v1", &gnupg, &[&key]).is_ok(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn sha256_repositories_and_their_bundles_are_read() {
    let (gnupg, repo) = (Gnupg::new(), Repo::with_format("sha256"));
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    assert!(repo.judge("v1", &gnupg, &[&key]).is_ok());
    let bundle = Repository::from_bundle(&repo.bundle("b", &["v1"], &["--version=3"])).unwrap();
    assert_eq!(
        judge_in(&bundle, "v1", &gnupg, &[&key]).unwrap().commit(),
        repo.rev("HEAD")
    );
}
