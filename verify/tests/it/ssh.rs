//! SSH-signed tags, made by real git and ssh-keygen, against a list of allowed signers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};
use ssh_key::public::KeyData;
use ssh_key::{PrivateKey, SigningKey};
use verify::git::Repository;
use verify::trust::allowed_signers::AllowedSigners;
use verify::trust::ssh::SshRefusal;
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

/// An armored signature for tags by these fields.
fn armored(key: &[u8], signature: &[u8]) -> String {
    let blob = [
        &b"SSHSIG"[..],
        &1u32.to_be_bytes(),
        &field(key),
        &field(b"git"),
        &field(b""),
        &field(b"sha512"),
        &field(signature),
    ]
    .concat();
    let lines: Vec<String> = STANDARD
        .encode(blob)
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}

/// A hardware token: it signs as PROTOCOL.u2f says, with a key that `ssh-keygen` made.
struct Token {
    kind: &'static str,
    signs: PrivateKey,
}

const APPLICATION: &[u8] = b"ssh:";

impl Token {
    fn new(kind: &'static str, of: &str) -> Self {
        let key = SshKey::new(of, "");
        let signs = PrivateKey::read_openssh_file(&key.path()).unwrap();
        Self { kind, signs }
    }

    fn key(&self, application: &[u8]) -> Vec<u8> {
        let public = match self.signs.public_key().key_data() {
            KeyData::Ed25519(key) => field(&key.0),
            KeyData::Ecdsa(key) => [field(b"nistp256"), field(key.as_ref())].concat(),
            other => panic!("{other:?}"),
        };
        [field(self.kind.as_bytes()), public, field(application)].concat()
    }

    /// The raw signature over a message, with these flags and this counter.
    fn sign(&self, message: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let blob = [
            &b"SSHSIG"[..],
            &field(b"git"),
            &field(b""),
            &field(b"sha512"),
            &field(&Sha512::digest(message)),
        ]
        .concat();
        let asserted = [
            &Sha256::digest(APPLICATION)[..],
            &[flags],
            &counter.to_be_bytes(),
            &Sha256::digest(blob),
        ]
        .concat();
        raw_signature(&self.signs, &asserted)
    }

    fn armored(&self, application: &[u8], signature: &[u8], flags: u8, counter: u32) -> String {
        let signature = [
            field(self.kind.as_bytes()),
            field(signature),
            vec![flags],
            counter.to_be_bytes().to_vec(),
        ]
        .concat();
        armored(&self.key(application), &signature)
    }

    fn signers(&self, application: &[u8]) -> String {
        let key = STANDARD.encode(self.key(application));
        format!("alice {} {key}\n", self.kind)
    }
}

fn raw_signature(key: &impl SigningKey, message: &[u8]) -> Vec<u8> {
    key.try_sign(message).unwrap().as_bytes().to_vec()
}

/// What OpenSSH itself says of a signature.
fn openssh_takes(signers: &str, signature: &str, message: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (list, file) = (folder.path().join("signers"), folder.path().join("s"));
    std::fs::write(&list, signers).unwrap();
    std::fs::write(&file, signature).unwrap();
    let mut check = Command::new("ssh-keygen");
    check.args(["-Y", "verify", "-n", "git", "-I", "alice", "-f"]);
    check.arg(&list).arg("-s").arg(&file);
    check.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = check.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn signature_of_a_touched_hardware_token_counts_and_of_an_untouched_one_does_not() {
    const MESSAGE: &[u8] = b"a tag";
    for (kind, of) in [
        ("sk-ssh-ed25519@openssh.com", "ed25519"),
        ("sk-ecdsa-sha2-nistp256@openssh.com", "ecdsa"),
    ] {
        let token = Token::new(kind, of);
        let list = token.signers(APPLICATION);
        let signers = AllowedSigners::parse(&list).unwrap();
        let touched = token.sign(MESSAGE, 1, 7);
        let good = token.armored(APPLICATION, &touched, 1, 7);
        let signer = signers
            .verify(MESSAGE, good.as_bytes(), "git", now())
            .unwrap_or_else(|refusal| panic!("{kind}: {refusal}"));
        assert_eq!(signer.principals(), "alice");
        assert!(openssh_takes(&list, &good, MESSAGE), "{kind}");

        // Flags and counter are signed with the rest, and so is what the key is for.
        let other = token.signers(b"ssh:other");
        for (list, bad, message) in [
            (&list, token.armored(APPLICATION, &touched, 5, 7), MESSAGE),
            (&list, token.armored(APPLICATION, &touched, 1, 8), MESSAGE),
            (&list, good.clone(), b"another tag"),
            (&other, token.armored(b"ssh:other", &touched, 1, 7), MESSAGE),
        ] {
            let signers = AllowedSigners::parse(list).unwrap();
            let refusal = signers
                .verify(message, bad.as_bytes(), "git", now())
                .unwrap_err();
            assert!(matches!(refusal, SshRefusal::Bad { .. }), "{refusal}");
            assert!(!openssh_takes(list, &bad, message), "{kind}");
        }

        // `ssh-keygen -Y verify` takes this one; whoever rules the machine can have it made unseen.
        let silent = token.armored(APPLICATION, &token.sign(MESSAGE, 0, 8), 0, 8);
        assert!(openssh_takes(&list, &silent, MESSAGE), "{kind}");
        let refusal = signers
            .verify(MESSAGE, silent.as_bytes(), "git", now())
            .unwrap_err();
        assert!(
            matches!(refusal, SshRefusal::NotTouched { .. }),
            "{refusal}"
        );
    }
}

#[test]
fn weak_algorithms_are_refused_by_name_and_unknown_ones_are_not_looked_at() {
    let repo = Repo::new();
    run(repo
        .git()
        .args(["tag", "--annotate", "--message", "release", "v1"]));
    let unsigned = repo.tag_bytes("v1");
    let key = SshKey::new("ed25519", "");
    let public = key.public();
    let ed25519 = STANDARD
        .decode(public.split_whitespace().nth(1).unwrap())
        .unwrap();
    for (algorithm, unseen) in [
        ("ssh-rsa", false),
        ("ssh-dss", false),
        ("ssh-mldsa-65@example.org", true),
    ] {
        let signature = [field(algorithm.as_bytes()), field(&[9; 64])].concat();
        let armored = armored(&ed25519, &signature);
        repo.raw_tag("v1", &[&unsigned[..], armored.as_bytes()].concat());
        let refusal = judge(&repo, "v1", &format!("alice {public}")).unwrap_err();
        assert_eq!(refusal.could_not_look(), unseen, "{algorithm}: {refusal}");
        assert!(refusal.to_string().contains(algorithm), "{refusal}");
    }
}

#[test]
fn rsa_keys_of_a_size_without_mathematics_are_not_called_bad() {
    for (bits, unseen) in [("1024", false), ("8192", true)] {
        let number = |bytes: Vec<u8>| field(&[vec![0], bytes].concat());
        let bytes = bits.parse::<usize>().unwrap() / 8;
        let key = [
            field(b"ssh-rsa"),
            field(&[1, 0, 1]),
            number(vec![0xff; bytes]),
        ]
        .concat();
        let signature = [field(b"rsa-sha2-512"), field(&vec![3; bytes])].concat();
        let list = format!("alice ssh-rsa {}\n", STANDARD.encode(&key));
        let refusal = AllowedSigners::parse(&list)
            .unwrap()
            .verify(b"x", armored(&key, &signature).as_bytes(), "git", now())
            .unwrap_err();
        let named = match &refusal {
            SshRefusal::Unsupported(name) if unseen => name,
            SshRefusal::Weak(name) if !unseen => name,
            other => panic!("{other}"),
        };
        assert!(named.contains(bits), "{named}");
    }
}
