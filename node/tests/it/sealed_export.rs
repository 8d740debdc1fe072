//! `export` and `import` as files: sealed unless somebody says otherwise.

use crate::support::{Scratch, write_private};

const CANARY: &str = "kanarienvogelX3";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn an_export_is_sealed_unless_somebody_says_plaintext() {
    let node = Scratch::new();
    node.store(CANARY, CANARY);
    let file = node.dir.path().join("export");
    let name = file.to_str().unwrap();
    let ran = node.run(&["export", name, "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "not_sealed"));
    assert!(!file.exists());
    let plain = node.run(&["export", name, "--plaintext"]).ok();
    assert!(plain.stderr.contains("WARN"), "{plain:?}");
    assert!(holds(&std::fs::read(&file).unwrap(), CANARY));
    assert_eq!(
        node.run(&["export", name, "--plaintext"]).code,
        2,
        "it overwrote a file"
    );
}

#[test]
fn a_file_sealed_to_a_passphrase_opens_with_it_only() {
    let node = Scratch::new();
    let id = node.store(CANARY, CANARY);
    let file = node.dir.path().join("export.age");
    let name = file.to_str().unwrap();
    let seal = node.dir.path().join("seal");
    write_private(&seal, "seal passphrase");
    let seal_name = seal.to_str().unwrap();
    node.run(&["export", name, "--seal-passphrase-file", seal_name])
        .ok();
    let sealed = std::fs::read(&file).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n") && !holds(&sealed, CANARY));
    let other = Scratch::new();
    assert_eq!(other.run(&["import", name]).code, 2);
    let wrong = other.pass_file();
    let ran = other.run(&[
        "import",
        name,
        "--seal-passphrase-file",
        wrong.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!((ran.code, ran.error_code().as_str()), (1, "not_opened"));
    other
        .run(&["import", name, "--seal-passphrase-file", seal_name])
        .ok();
    assert!(other.run(&["get", &id]).ok().stdout.contains(CANARY));
    let mut damaged = sealed.clone();
    let last = damaged.len() - 20;
    damaged[last] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let ran = other.run(&["import", name, "--seal-passphrase-file", seal_name]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn a_file_sealed_to_a_key_opens_with_its_identity() {
    // A pair made by age-keygen for this test alone.
    let identity = age::x25519::Identity::generate();
    let node = Scratch::new();
    node.store(CANARY, CANARY);
    let file = node.dir.path().join("export.age");
    let name = file.to_str().unwrap();
    node.run(&[
        "export",
        name,
        "--recipient",
        &identity.to_public().to_string(),
    ])
    .ok();
    assert!(!holds(&std::fs::read(&file).unwrap(), CANARY));
    let key = node.dir.path().join("identity");
    use age::secrecy::ExposeSecret as _;
    write_private(
        &key,
        &format!("# made today\n{}\n", identity.to_string().expose_secret()),
    );
    let other = Scratch::new();
    other
        .run(&["import", name, "--identity-file", key.to_str().unwrap()])
        .ok();
    assert!(other.run(&["search", CANARY]).ok().stdout.contains(CANARY));
    let again = other.run(&[
        "import",
        name,
        "--identity-file",
        key.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!(again.ok().json()["skipped"], 1);
    assert_eq!(
        node.run(&["export", "x", "--recipient", "age1nonsense"])
            .code,
        2
    );
}
