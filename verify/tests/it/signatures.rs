//! Detached signatures: what counts, and that not one byte of a strict one can be another.

use verify::trust::keyring::Keyring;
use verify::trust::openpgp::{
    SignatureRefusal, SignatureRules, verify_detached, verify_detached_canonical, verify_each,
};

use crate::fixture::{Gnupg, SIGNED, now};

const DOCUMENT: &[u8] = b"the signed document\n";

#[test]
fn signatures_of_gpg_are_canonical_for_ed25519_and_rsa() {
    let gnupg = Gnupg::new();
    let rules = SignatureRules::strict(now());
    for algorithm in ["ed25519", "rsa3072", "nistp256"] {
        let key = gnupg.key_with(algorithm, algorithm, "20250101T000000", "never");
        let keyring = gnupg.keyring(&[&key]);
        for round in 0..4 {
            let document = [DOCUMENT, &[round]].concat();
            let signature = gnupg.sign(&key, SIGNED, &document);
            let verified =
                verify_detached_canonical(&document, &signature, &keyring, &rules).unwrap();
            assert_eq!(verified[0].certificate(), &key);
            assert!(verify_detached(&document, &signature, &keyring, &rules).is_ok());
        }
    }
}

#[test]
fn no_byte_of_a_strict_signature_can_be_another() {
    let gnupg = Gnupg::new();
    let key = gnupg.key("alice");
    let keyring = gnupg.keyring(&[&key]);
    let rules = SignatureRules::strict(now());
    let good = gnupg.sign(&key, SIGNED, DOCUMENT);
    for at in 0..good.len() {
        for flip in [0x01, 0x20] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let judged = verify_detached_canonical(DOCUMENT, &bad, &keyring, &rules);
            assert!(
                judged.is_err(),
                "byte {at} flipped by {flip:#x} went unnoticed"
            );
        }
    }
}

#[test]
fn no_bit_of_the_packet_can_be_another_even_with_a_fitting_checksum() {
    let gnupg = Gnupg::new();
    let rules = SignatureRules::strict(now());
    for (algorithm, stride) in [("ed25519", 1), ("rsa3072", 7)] {
        let key = gnupg.key_with(algorithm, algorithm, "20250101T000000", "never");
        let keyring = gnupg.keyring(&[&key]);
        let packet = verify::trust::armor::read(&gnupg.sign(&key, SIGNED, DOCUMENT)).unwrap();
        for at in (0..packet.len()).filter(|at| *at < 40 || at % stride == 0) {
            for bit in 0..8 {
                let mut bad = packet.clone();
                bad[at] ^= 1 << bit;
                let armored = verify::trust::armor::write(&bad);
                let judged =
                    verify_detached_canonical(DOCUMENT, armored.as_bytes(), &keyring, &rules);
                assert!(
                    judged.is_err(),
                    "{algorithm}: bit {bit} of byte {at} went unnoticed"
                );
            }
        }
    }
}

#[test]
fn one_bad_or_unknown_signature_among_several_is_not_overlooked() {
    let gnupg = Gnupg::new();
    let (alice, bob) = (gnupg.key("alice"), gnupg.key("bob"));
    let rules = SignatureRules::strict(now());
    let packets = |document: &[u8]| {
        let read = |key| verify::trust::armor::read(&gnupg.sign(key, SIGNED, document)).unwrap();
        [read(&alice), read(&bob)].concat()
    };
    let both = packets(DOCUMENT);
    let keyring = gnupg.keyring(&[&alice, &bob]);
    assert_eq!(
        verify_each(DOCUMENT, &both, &keyring, &rules)
            .unwrap()
            .len(),
        2
    );
    let only_alice = gnupg.keyring(&[&alice]);
    let refused = verify_detached(DOCUMENT, &both, &only_alice, &rules).unwrap_err();
    assert!(matches!(refused, SignatureRefusal::UnknownKey { .. }));
}

#[test]
fn signature_from_the_future_does_not_count() {
    let gnupg = Gnupg::new();
    let key = gnupg.key("alice");
    let signature = gnupg.sign(&key, "20270101T000000", DOCUMENT);
    let refused = verify_detached(
        DOCUMENT,
        &signature,
        &gnupg.keyring(&[&key]),
        &SignatureRules::strict(now()),
    );
    assert!(matches!(
        refused.unwrap_err(),
        SignatureRefusal::FromTheFuture { .. }
    ));
}

#[test]
fn encryption_key_and_random_bytes_do_not_sign() {
    let gnupg = Gnupg::new();
    let key = gnupg.key("alice");
    let keyring: Keyring = gnupg.keyring(&[&key]);
    for bytes in [&b""[..], b"hello", &[0x89; 64], &[0xff; 512]] {
        let refused =
            verify_each(DOCUMENT, bytes, &keyring, &SignatureRules::strict(now())).unwrap_err();
        assert!(
            matches!(refused, SignatureRefusal::Unreadable { .. }),
            "{refused}"
        );
    }
}

#[test]
fn keys_of_version_6_and_signing_subkeys_count() {
    use openpgp::Profile;
    use openpgp::cert::CertBuilder;
    use openpgp::serialize::SerializeInto as _;
    use sequoia_openpgp as openpgp;
    let made = now() - std::time::Duration::from_secs(86_400);
    for (profile, digits) in [(Profile::RFC9580, 64), (Profile::RFC4880, 40)] {
        let (cert, _) = CertBuilder::new()
            .set_profile(profile)
            .unwrap()
            .set_creation_time(made)
            .add_userid("carol <carol@example.org>")
            .add_signing_subkey()
            .generate()
            .unwrap();
        let secret = cert.as_tsk().to_vec().unwrap();
        let mut key = verify::trust::sign::SigningKey::from_bytes(&secret, now()).unwrap();
        let keyring = key.keyring().unwrap();
        let signature = key.sign(DOCUMENT, now()).unwrap();
        let rules = SignatureRules::strict(now());
        let verified = verify_detached(DOCUMENT, &signature, &keyring, &rules).unwrap();
        assert_eq!(verified.certificate().as_str().len(), digits);
        assert_ne!(verified.certificate(), verified.key(), "the subkey signed");
        let armored = verify::trust::armor::write(&signature);
        assert!(verify_detached_canonical(DOCUMENT, armored.as_bytes(), &keyring, &rules).is_ok());
        assert!(verify_detached(b"other", &signature, &keyring, &rules).is_err());
    }
}

#[test]
fn signature_by_an_rsa_key_too_large_to_compute_with_is_not_called_bad() {
    // Made by GnuPG, which needs a quarter of a minute for such a key.
    let keyring = Keyring::from_bytes(include_bytes!("fixture/rsa8192-certificate.asc")).unwrap();
    let signature = include_bytes!("fixture/rsa8192-signature.asc");
    let rules = SignatureRules::strict(now());
    let refusal = verify_detached(b"content", signature, &keyring, &rules).unwrap_err();
    assert!(
        refusal.could_not_look() && refusal.to_string().contains("RSA with 8192 bits"),
        "{refusal}"
    );
}
