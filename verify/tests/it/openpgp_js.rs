//! Keys and signatures of version 6 (RFC 9580) made by another implementation: OpenPGP.js, from npm,
//! pinned, below `target/peers`. Without Node.js or its registry the test says that it was skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use verify::git::Repository;
use verify::trust::keyring::Keyring;
use verify::trust::openpgp::{SignatureRules, verify_detached};
use verify::trust::tag::{Authorised, TagRefusal, verify_tag};

use crate::fixture::{Repo, feed, now, run};

const PINNED: &str = "openpgp@6.3.2";

/// Makes a key with a signing subkey; signs what it is given as a binary document.
const SCRIPT: &str = r#"
const openpgp = require("openpgp");
const fs = require("fs");
(async () => {
  const [version, folder] = process.argv.slice(1);
  const config = { ...openpgp.config, v6Keys: version === "6" };
  const made = new Date("2026-01-01T00:00:00Z");
  const key = await openpgp.generateKey({
    type: "curve25519", userIDs: [{ name: "carol", email: "carol@example.org" }], date: made,
    subkeys: [{ sign: true }], format: "object", config,
  });
  fs.writeFileSync(folder + "/public.asc", key.publicKey.armor(config));
  const binary = fs.readFileSync(0);
  const signature = await openpgp.sign({
    message: await openpgp.createMessage({ binary }), signingKeys: key.privateKey,
    detached: true, date: new Date("2026-02-01T12:00:00Z"), config,
  });
  process.stdout.write(signature);
})().catch((error) => { console.error(error); process.exit(1); });
"#;

/// The folder in which the script finds the library.
fn installed() -> Result<PathBuf, String> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let folder = peers.join("openpgp-js");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(peers.join("openpgp-js.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let stamp = folder.join("installed.txt");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == PINNED) {
        let output = Command::new("npm")
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&folder)
            .arg(PINNED)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        fs::write(&stamp, PINNED).map_err(|error| error.to_string())?;
    }
    fs::canonicalize(folder).map_err(|error| error.to_string())
}

#[test]
fn tags_by_keys_of_both_versions_made_elsewhere_are_verified_and_their_subkeys_named() {
    let library = match installed() {
        Ok(folder) => folder,
        Err(why) => {
            println!("skipped: {PINNED} cannot be had: {why}");
            return;
        }
    };
    for (version, digits) in [("4", 40), ("6", 64)] {
        let repo = Repo::new();
        run(repo
            .git()
            .args(["tag", "--annotate", "--message", "release", "v1"]));
        let unsigned = repo.tag_bytes("v1");
        let folder = tempfile::tempdir().unwrap();
        let mut node = Command::new("node");
        node.current_dir(&library)
            .args(["-e", SCRIPT, "--", version])
            .arg(folder.path());
        let signature = feed(&mut node, &unsigned).stdout;
        let keys = fs::read(folder.path().join("public.asc")).unwrap();
        let keyring = Keyring::from_bytes(&keys).unwrap();
        repo.raw_tag("v1", &[&unsigned[..], &signature].concat());
        let judge = |keyring: &Keyring| {
            let tag = Repository::open(repo.path())
                .unwrap()
                .tag(&"v1".parse().unwrap())
                .unwrap()
                .unwrap();
            let rules = SignatureRules::strict(now());
            verify_tag(&tag, None, keyring, &Authorised::WholeKeyring, &rules)
        };
        let tag = judge(&keyring).unwrap_or_else(|refusal| panic!("version {version}: {refusal}"));
        let signed = tag.signature();
        assert_eq!(
            signed.certificate().as_str().len(),
            digits,
            "version {version}"
        );
        assert_ne!(signed.certificate(), signed.key(), "the subkey signed");
        assert_eq!(signed.holder(), "carol <carol@example.org>");

        let rules = SignatureRules::strict(now());
        assert!(verify_detached(&unsigned, &signature, &keyring, &rules).is_ok());

        let changed = String::from_utf8(repo.tag_bytes("v1")).unwrap();
        repo.raw_tag(
            "v1",
            changed.replacen("\nrelease\n", "\nRelease\n", 1).as_bytes(),
        );
        assert!(matches!(
            judge(&keyring).unwrap_err(),
            TagRefusal::BadSignature(_)
        ));
    }
}
