//! An exported memory is checked without the node: by the program, and by a stranger's Python.

use std::path::{Path, PathBuf};

use crate::support::Scratch;

fn export(node: &Scratch) -> PathBuf {
    let file = node.dir.path().join("export.json");
    node.run(&["export", file.to_str().unwrap(), "--plaintext"])
        .ok();
    file
}

fn linked() -> Scratch {
    let node = Scratch::new();
    let (a, b) = (
        node.store("Tëa \"time\"", "The kettle\nis blue."),
        node.store("b", "c"),
    );
    node.run(&["update", &b, "--content", "changed"]).ok();
    node.run(&["link", &a, &b]).ok();
    node
}

#[test]
fn an_untouched_export_holds_and_every_change_is_found() {
    let node = linked();
    let file = export(&node);
    let name = file.to_str().unwrap();
    let good = node.run(&["verify-export", name, "--json"]).ok().json();
    assert_eq!(
        (good["memories"].as_u64(), good["links"].as_u64()),
        (Some(2), Some(1))
    );
    node.run(&["author", "new", "me"]).ok();
    let authors = node.data().join("authors");
    let authors = authors.to_str().unwrap();
    assert!(
        node.run(&["verify-export", name, "--authors-file", authors])
            .ok()
            .stdout
            .contains("me")
    );
    node.run(&["author", "revoke", "me"]).ok();
    assert_eq!(
        node.run(&["verify-export", name, "--authors-file", authors])
            .code,
        1
    );
    let text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [
        ("\"content\":\"changed\"", "\"content\":\"changeD\""),
        ("\"priority\":5", "\"priority\":6"),
        (
            "\"relation\":\"related_to\"",
            "\"relation\":\"contradicts\"",
        ),
        ("\\\"op\\\":\\\"put\\\"", "\\\"op\\\":\\\"pat\\\""),
        ("\"versions\":[{", "\"versions\":[{\"more\":1,"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        assert_ne!(node.run(&["verify-export", name]).code, 0, "{to}");
    }
    std::fs::write(&file, "{\"memories\":[],\"links\":[],\"versions\":[]}").unwrap();
    assert_eq!(node.run(&["verify-export", name]).code, 2);
    std::fs::write(&file, text).unwrap();
    // An export with proofs can still be taken in elsewhere.
    let other = Scratch::new();
    let other_in = other.run(&["import", name]).ok();
    assert!(other_in.stdout.contains("2 memories"), "{other_in:?}");
}

/// The Python blocks of the documentation.
fn python_of(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("docs")
        .join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```python\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_python_of_the_documentation_checks_an_export_and_finds_a_change() {
    let Some(bin) = crate::pytools::federation() else {
        return;
    };
    let node = linked();
    let file = export(&node);
    let author = node.author();
    let blocks = python_of("attested-memories.md");
    assert_eq!(blocks.len(), 2, "one with PyNaCl, one with cryptography");
    let run = |block: &str| {
        std::process::Command::new(bin.join("python"))
            .args([
                "-c",
                block,
                file.to_str().unwrap(),
                author.trim_start_matches("ed25519:"),
            ])
            .output()
            .unwrap()
    };
    let text = std::fs::read_to_string(&file).unwrap();
    for block in &blocks {
        std::fs::write(&file, &text).unwrap();
        let good = run(block);
        assert!(
            good.status.success(),
            "{}",
            String::from_utf8_lossy(&good.stderr)
        );
        assert!(String::from_utf8_lossy(&good.stdout).contains("2 memories"));
        for (from, to) in [
            ("\"content\":\"changed\"", "\"content\":\"changeD\""),
            (
                "\\\"content\\\":\\\"changed\\\"",
                "\\\"content\\\":\\\"changeD\\\"",
            ),
            ("\\\"seq\\\":", "\\\"seq\\\":1"),
        ] {
            assert!(text.contains(from), "{from}");
            std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
            assert!(!run(block).status.success(), "{to}");
        }
    }
}

#[test]
fn the_vectors_of_the_documentation_hold() {
    use node::identity::admit::{WireVersion, admit_despite};
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("docs/attested-memories.md");
    let text = std::fs::read_to_string(path).unwrap();
    let json = text
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let vectors: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    assert!(vectors.len() >= 3);
    for vector in vectors {
        let wire: WireVersion = serde_json::from_value(vector["version"].clone()).unwrap();
        match admit_despite(wire) {
            Ok(version) => {
                assert_eq!(vector["result"], "holds");
                assert_eq!(vector["version_id"], version.verified().id().to_string());
            }
            Err(refused) => assert_eq!(vector["result"], refused.reason.as_str()),
        }
    }
}
