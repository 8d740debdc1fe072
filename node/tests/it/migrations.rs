//! Databases of every older schema, made when it was the newest, are brought up to date.

use std::path::Path;

use crate::support::{Scratch, write_private};

/// A node over a copy of a fixture.
fn of_schema(number: u32) -> Scratch {
    let node = Scratch::empty();
    write_private(&node.pass_file(), "fixture passphrase");
    std::fs::create_dir(node.data()).unwrap();
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/fixtures/schema-{number}"));
    for file in ["memory.db", "memory.db.head"] {
        std::fs::copy(fixture.join(file), node.data().join(file)).unwrap();
    }
    node
}

#[test]
fn every_older_schema_has_a_fixture_and_comes_up_to_date() {
    for number in 1..u32::try_from(node::store::newest_schema()).unwrap() {
        let node = of_schema(number);
        let check = node.run(&["db", "check", "--json"]);
        assert_eq!(
            (check.code, check.error_code().as_str()),
            (2, "schema_outdated")
        );
        let list = node.run(&["list", "--json"]).ok().json();
        let titles: Vec<_> = list["memories"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["title"].clone())
            .collect();
        assert_eq!(titles, ["Second, changed", "First light"]);
        assert!(
            node.run(&["search", "fixture"])
                .ok()
                .stdout
                .contains("First light")
        );
        let id = list["memories"][1]["id"].as_str().unwrap().to_owned();
        assert!(node.run(&["links", &id]).ok().stdout.contains("related_to"));
        let args = [
            "store",
            "--title",
            "t",
            "--content",
            "c",
            "--idempotency-key",
            "k",
        ];
        let once = node.run(&args).ok().stdout;
        assert_eq!(node.run(&args).ok().stdout, once);
        node.run(&["db", "check"]).ok();
    }
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let Some(bin) = crate::pytools::bin() else {
        return;
    };
    let node = Scratch::new();
    let db = node.db();
    let script = "import os, sqlcipher3\nc = sqlcipher3.connect(os.environ['DB'], isolation_level=None)\nc.execute(\"PRAGMA key = '\" + os.environ['PASSPHRASE'] + \"'\")\nc.execute('PRAGMA user_version = 999')\nc.close()";
    let variables = [
        ("DB", db.to_str().unwrap()),
        ("PASSPHRASE", crate::support::PASSPHRASE),
    ];
    crate::pytools::script(bin, script, &variables);
    let before = node.digests();
    let ran = node.run(&["list", "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "schema_too_new"));
    assert_eq!(node.digests(), before);
}
