//! Binaries that want to harm their reader: bombs, cut files, flipped bytes.

use proptest::prelude::*;
use sbom::source::dep_v0::{DepV0Error, MAX_UNPACKED_BYTES, read};

use crate::support::{Product, elf, pack};

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let bomb = pack(&vec![b' '; MAX_UNPACKED_BYTES + 1]);
    assert!(bomb.len() < 100_000, "it is small when packed");
    assert!(matches!(
        read(&elf(Some(&bomb), b"")),
        Err(DepV0Error::TooLarge)
    ));
}

#[test]
fn an_executable_without_a_list_says_so() {
    assert!(matches!(read(&elf(None, b"x")), Err(DepV0Error::NoSection)));
}

#[test]
fn a_list_that_is_not_zlib_or_not_text_is_damaged() {
    assert!(matches!(
        read(&elf(Some(b"plain"), b"")),
        Err(DepV0Error::DamagedList)
    ));
    assert!(matches!(
        read(&elf(Some(&pack(b"\xff\xfe")), b"")),
        Err(DepV0Error::DamagedList)
    ));
    assert!(matches!(
        read(&elf(Some(&pack(b"[]")), b"")),
        Err(DepV0Error::Malformed(_))
    ));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = "[".repeat(1_000_000);
    assert!(matches!(
        read(&elf(Some(&pack(deep.as_bytes())), b"")),
        Err(DepV0Error::Malformed(_))
    ));
}

#[test]
fn a_long_chain_of_packages_is_read() {
    let count = 20_000;
    let packages: Vec<String> = (0..count)
        .map(|n| {
            let next = if n + 1 < count {
                format!(",\"dependencies\":[{}]", n + 1)
            } else {
                String::new()
            };
            let root = if n == 0 { ",\"root\":true" } else { "" };
            format!(r#"{{"name":"p{n}","version":"1.0.0","source":"local"{next}{root}}}"#)
        })
        .collect();
    let json = format!(r#"{{"packages":[{}]}}"#, packages.join(","));
    assert_eq!(
        read(&elf(Some(&pack(json.as_bytes())), b""))
            .unwrap()
            .packages()
            .len(),
        count
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(read(&bytes).is_err());
        drop(sbom::native::in_binary(&bytes));
        prop_assert!(sbom::read::parse(&bytes).is_err());
    }

    #[test]
    fn a_changed_binary_never_panics(place in 0usize..100_000, value in any::<u8>(), cut in any::<bool>()) {
        let mut binary = Product::new().binary();
        let place = place % binary.len();
        binary[place] ^= value;
        if cut {
            binary.truncate(place);
        }
        drop(read(&binary));
        drop(sbom::native::in_binary(&binary));
    }

    #[test]
    fn a_changed_list_is_the_same_or_an_error_or_reads_differently(place in 0usize..10_000, value in 1u8..=255) {
        let product = Product::new();
        let mut json = product.dep_v0.clone().into_bytes();
        let place = place % json.len();
        json[place] ^= value;
        if let Ok(graph) = read(&elf(Some(&pack(&json)), b"")) {
            // What still reads is a graph whose edges stay inside and that has one root.
            let count = graph.packages().len();
            prop_assert!(graph.packages().iter().flat_map(|p| &p.dependencies).all(|&d| d < count));
            prop_assert_eq!(graph.packages().iter().filter(|p| p.root).count(), 1);
        }
    }
}
