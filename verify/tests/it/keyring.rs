//! What a keyring may hold, and that all of it counts.

use verify::trust::keyring::{Fingerprint, Keyring, KeyringError};
use verify::trust::tag::TagRefusal;

use crate::fixture::{Gnupg, Repo, run};

#[test]
fn several_blocks_are_one_keyring() {
    let gnupg = Gnupg::new();
    let (alice, bob) = (gnupg.key("alice"), gnupg.key("bob"));
    let mut both = gnupg.export(&[&alice]);
    both.extend(gnupg.export(&[&bob]));
    let keyring = Keyring::from_bytes(&both).unwrap();
    assert_eq!(keyring.len(), 2);
    let binary = run(gnupg.command("20260101T000000").arg("--export")).stdout;
    assert_eq!(Keyring::from_bytes(&binary).unwrap().len(), 2);
}

#[test]
fn revocation_in_either_copy_or_standing_alone_counts() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let before = gnupg.export(&[&key]);
    let certificate = gnupg.revoke(&key, "20260301T000000", 0);
    let after = gnupg.export(&[&key]);
    let judge = |parts: &[&[u8]]| {
        let keyring = Keyring::from_bytes(&parts.concat()).unwrap();
        let tag = verify::git::Repository::open(repo.path())
            .unwrap()
            .tag(&"v1".parse().unwrap())
            .unwrap()
            .unwrap();
        let rules = verify::trust::openpgp::SignatureRules::strict(crate::fixture::now());
        verify::trust::tag::verify_tag(
            &tag,
            None,
            &keyring,
            &verify::trust::tag::Authorised::WholeKeyring,
            &rules,
        )
    };
    assert!(judge(&[&before]).is_ok());
    for parts in [
        [&before, &after],
        [&after, &before],
        [&before, &certificate],
    ] {
        let refused = judge(&[parts[0], parts[1]]).unwrap_err();
        assert!(
            matches!(refused, TagRefusal::KeyRevokedSince { .. }),
            "{refused}"
        );
    }
}

#[test]
fn empty_broken_and_secret_keyrings_are_refused() {
    let gnupg = Gnupg::new();
    let key = gnupg.key("alice");
    assert!(matches!(
        Keyring::from_bytes(b""),
        Err(KeyringError::Empty | KeyringError::Unreadable { .. })
    ));
    assert!(matches!(
        Keyring::from_bytes(b"hello"),
        Err(KeyringError::Unreadable { .. })
    ));
    let mut cut = gnupg.export(&[&key]);
    cut.truncate(cut.len() / 2);
    assert!(Keyring::from_bytes(&cut).is_err());
    let secret = run(gnupg.command("20260101T000000").args([
        "--armor",
        "--export-secret-keys",
        key.as_str(),
    ]))
    .stdout;
    assert!(matches!(Keyring::from_bytes(&secret), Err(KeyringError::SecretKey(of)) if of == key));
}

#[test]
fn fingerprints_are_read_as_gpg_prints_them() {
    let grouped = "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567";
    assert_eq!(
        grouped.parse::<Fingerprint>().unwrap().as_str(),
        "0123456789ABCDEF0123456789ABCDEF01234567"
    );
    for bad in [
        "",
        "89ABCDEF",
        "0123456789ABCDEF",
        "Z123456789ABCDEF0123456789ABCDEF01234567",
    ] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}
