//! SSH-signed tags, made by real git and ssh-keygen, against a list of allowed signers.

use std::path::PathBuf;
use std::process::Command;

use verify::git::Repository;
use verify::trust::ssh::{AllowedSigners, SshRefusal};
use verify::trust::tag::{SshVerifiedTag, TagRefusal, verify_ssh_tag};

use crate::fixture::{Repo, feed, now, run, text};

struct SshKey {
    folder: tempfile::TempDir,
}

impl SshKey {
    fn new(kind: &str, bits: &str) -> Self {
        let key = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-N", "", "-C", "c"]);
        if !bits.is_empty() {
            command.args(["-b", bits]);
        }
        run(command.arg("-f").arg(key.path()));
        key
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn public(&self) -> String {
        std::fs::read_to_string(self.path().with_extension("pub")).unwrap()
    }

    fn tag(&self, repo: &Repo, name: &str) {
        let mut git = repo.git();
        git.args(["-c", "gpg.format=ssh", "-c"])
            .arg(format!("user.signingkey={}", self.path().display()));
        run(git.args(["tag", "--sign", "--message", "release", name]));
    }
}

fn judge(repo: &Repo, name: &str, signers: &str) -> Result<SshVerifiedTag, TagRefusal> {
    let tag = Repository::open(repo.path())
        .unwrap()
        .tag(&name.parse().unwrap())
        .unwrap()?;
    assert!(tag.is_ssh_signed());
    verify_ssh_tag(&tag, None, &AllowedSigners::parse(signers).unwrap(), now())
}

fn refused(repo: &Repo, name: &str, signers: &str) -> SshRefusal {
    match judge(repo, name, signers).unwrap_err() {
        TagRefusal::BadSshSignature(refusal) => refusal,
        other => panic!("{other}"),
    }
}

#[test]
fn tags_by_every_usual_kind_of_key_are_verified() {
    for (kind, bits) in [
        ("ed25519", ""),
        ("rsa", "3072"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
    ] {
        let (repo, key) = (Repo::new(), SshKey::new(kind, bits));
        key.tag(&repo, "v1");
        let signers = format!("alice@example.org namespaces=\"git\" {}", key.public());
        let tag = judge(&repo, "v1", &signers)
            .unwrap_or_else(|refusal| panic!("{kind} {bits}: {refusal}"));
        assert_eq!(
            (tag.principals(), tag.commit()),
            ("alice@example.org", repo.rev("HEAD"))
        );
        let listed = text(&run(Command::new("ssh-keygen").arg("-lf").arg(key.path())));
        assert!(listed.contains(tag.fingerprint()), "{listed}");
    }
}

#[test]
fn key_outside_the_list_its_purpose_or_its_time_does_not_count() {
    let (repo, key, other) = (
        Repo::new(),
        SshKey::new("ed25519", ""),
        SshKey::new("ed25519", ""),
    );
    key.tag(&repo, "v1");
    let with = |options: &str| format!("alice {options} {}", key.public());
    assert!(matches!(
        refused(&repo, "v1", &format!("bob {}", other.public())),
        SshRefusal::UnknownKey { .. }
    ));
    assert!(matches!(
        refused(&repo, "v1", &with("namespaces=\"file\"")),
        SshRefusal::UnknownKey { .. }
    ));
    // The tagger's time is 2026-01-01.
    assert!(
        judge(
            &repo,
            "v1",
            &with("valid-after=\"20251231Z\",valid-before=\"20260102Z\"")
        )
        .is_ok()
    );
    for outside in ["valid-before=\"20260101Z\"", "valid-after=\"20260102Z\""] {
        assert!(
            matches!(
                refused(&repo, "v1", &with(outside)),
                SshRefusal::OutsideValidity { .. }
            ),
            "{outside}"
        );
    }
}

#[test]
fn changed_message_and_signature_for_another_purpose_do_not_count() {
    let (repo, key) = (Repo::new(), SshKey::new("ed25519", ""));
    key.tag(&repo, "v1");
    let signers = format!("alice {}", key.public());
    let good = String::from_utf8(repo.tag_bytes("v1")).unwrap();
    repo.raw_tag(
        "v1",
        good.replacen("\nrelease\n", "\nRelease\n", 1).as_bytes(),
    );
    assert!(matches!(
        refused(&repo, "v1", &signers),
        SshRefusal::Bad { .. }
    ));

    let at = good.find("-----BEGIN SSH").unwrap();
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", "file", "-f"])
        .arg(key.path());
    let signature = feed(&mut sign, &good.as_bytes()[..at]).stdout;
    repo.raw_tag("v1", &[&good.as_bytes()[..at], &signature].concat());
    let refusal = refused(&repo, "v1", &signers);
    assert!(
        matches!(&refusal, SshRefusal::Namespace { found, .. } if found == "file"),
        "{refusal}"
    );
}

#[test]
fn cut_or_odd_signatures_are_refused_without_a_panic() {
    let (repo, key) = (Repo::new(), SshKey::new("ed25519", ""));
    key.tag(&repo, "v1");
    let signers = AllowedSigners::parse(&format!("alice {}", key.public())).unwrap();
    let good = repo.tag_bytes("v1");
    let at = String::from_utf8(good.clone())
        .unwrap()
        .find("-----BEGIN SSH")
        .unwrap();
    let (signed, signature) = good.split_at(at);
    assert!(signers.verify(signed, signature, "git", now()).is_ok());
    for place in (0..signature.len()).filter(|place| !signature[*place].is_ascii_whitespace()) {
        let mut bad = signature.to_vec();
        bad[place] ^= 1;
        assert!(
            signers.verify(signed, &bad, "git", now()).is_err(),
            "byte {place}"
        );
        assert!(
            signers
                .verify(signed, &signature[..place], "git", now())
                .is_err()
        );
    }
}

/// One field of SSH's wire format.
fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn signature_of_a_hardware_token_could_not_be_looked_at_and_one_with_a_weak_hash_is_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let repo = Repo::new();
    run(repo
        .git()
        .args(["tag", "--annotate", "--message", "release", "v1"]));
    let unsigned = repo.tag_bytes("v1");
    for (kind, algorithm, unseen) in [
        (
            "sk-ssh-ed25519@openssh.com",
            "sk-ssh-ed25519@openssh.com",
            true,
        ),
        ("ssh-rsa", "ssh-rsa", false),
    ] {
        let key = [field(kind.as_bytes()), field(&[7; 32]), field(b"ssh:")].concat();
        let signature = [field(algorithm.as_bytes()), field(&[9; 64])].concat();
        let blob = [
            &b"SSHSIG"[..],
            &1u32.to_be_bytes(),
            &field(&key),
            &field(b"git"),
            &field(b""),
            &field(b"sha512"),
            &field(&signature),
        ]
        .concat();
        let lines: Vec<String> = STANDARD
            .encode(blob)
            .as_bytes()
            .chunks(70)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let armored = format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            lines.join("\n")
        );
        repo.raw_tag("v1", &[&unsigned[..], armored.as_bytes()].concat());
        let signers = format!("alice {kind} {}\n", STANDARD.encode(&key));
        let refusal = judge(&repo, "v1", &signers).unwrap_err();
        assert_eq!(refusal.could_not_look(), unseen, "{kind}: {refusal}");
        assert!(refusal.to_string().contains(algorithm), "{refusal}");
    }
}
