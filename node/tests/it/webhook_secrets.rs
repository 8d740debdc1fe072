//! Secrets of webhooks: shown by the answer that makes them, and by nothing after that.

use serde_json::{Value, json};

use crate::pytools;
use crate::receiver::{Receiver, answer, serve_to_loopback, store, subscribe};
use crate::support::{Scratch, Served, write_private};

/// Own secrets that nothing else contains, and the bytes that stand for them elsewhere.
const OWN: &str = "kanarienvogel-0123456789";
const NEXT: &str = "zeisig-und-stieglitz-0123";

/// Everything that can be asked for without changing anything, and some refusals.
fn answers(served: &Served, id: &str) -> Vec<(String, String)> {
    let subscription = format!("/api/v1/subscriptions/{id}");
    let listed = format!("{subscription}/deliveries");
    let delivered = format!("{listed}?state=delivered");
    let gets = [
        "/api/v1/subscriptions",
        subscription.as_str(),
        listed.as_str(),
        delivered.as_str(),
        "/api/v1/export",
        "/api/v1/stats",
        "/api/v1/memories",
        "/api/v1/health",
        "/metrics",
        "/readyz",
        "/openapi.json",
    ]
    .map(|path| ("GET".to_owned(), path.to_owned(), None));
    let posts = ["pause", "resume", "test", "replay"].map(|what| {
        let path = format!("{subscription}/{what}");
        ("POST".to_owned(), path, Some(json!({})))
    });
    gets.into_iter()
        .chain(posts)
        .map(|(method, path, body)| {
            let answer = served.http(&method, &path, body.as_ref()).expect(200);
            (path, format!("{:?} {}", answer.headers, answer.body))
        })
        .collect()
}

#[test]
fn a_secret_is_shown_once_and_found_nowhere_after() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::start(|n| answer(if n % 3 == 0 { 500 } else { 204 }));
    let made = subscribe(&served, json!({"url": receiver.url, "secret": OWN}));
    assert_eq!(made["secret"], OWN);
    let generated = subscribe(&served, json!({"url": receiver.url}));
    let legacy = json!({"url": receiver.url, "secret": NEXT, "profile": "legacy-sha256"});
    subscribe(&served, legacy);
    let generated_secret = generated["secret"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    store(&served, "announced");
    receiver.wait_for(3);
    let rotate = format!("/api/v1/subscriptions/{id}/rotate");
    let rotated = served
        .http("POST", &rotate, Some(&json!({})))
        .expect(200)
        .json();
    let rotated = rotated["secret"].as_str().unwrap().to_owned();
    store(&served, "after the rotation");
    receiver.wait_for(6);
    // Not even a refusal of the secret itself repeats it.
    for (path, body) in [
        (
            "/api/v1/subscriptions",
            json!({"url": "https://10.0.0.1/", "secret": OWN}),
        ),
        (
            "/api/v1/subscriptions",
            json!({"url": "https://a.example/", "secret": format!("{OWN} ")}),
        ),
        (rotate.as_str(), json!({"secret": format!("ä{OWN}")})),
        (rotate.as_str(), json!({"secret": OWN, "overlap_s": -1})),
    ] {
        let refused = served.http("POST", path, Some(&body));
        assert_eq!(refused.status, 400);
        assert!(!refused.body.contains(OWN), "{refused:?}");
    }
    let secrets = [OWN, NEXT, &generated_secret, &rotated];
    // The key itself, as it would stand in a dump of bytes.
    let bare = |secret: &str| secret.trim_start_matches("whsec_").to_owned();
    for (what, said) in answers(&served, &id) {
        for secret in secrets {
            assert!(!said.contains(&bare(secret)), "{what} tells a secret");
        }
    }
    let connect = served.address.clone();
    for args in [
        &["webhook", "list"][..],
        &["webhook", "show", &id],
        &["webhook", "deliveries", &id],
        &["doctor"],
        &["list"],
    ] {
        for json in [&[][..], &["--json"]] {
            let all = [&["--connect", connect.as_str()][..], json, args].concat();
            let ran = node.run(&all);
            for secret in secrets {
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert!(!said.contains(&bare(secret)), "{args:?} tells a secret");
            }
        }
    }
    let log = served.log.clone();
    served.stop();
    let export = node.dir.path().join("export.json");
    node.run(&["export", export.to_str().unwrap(), "--plaintext"])
        .ok();
    let backup = node.dir.path().join("backup.db");
    node.run(&["db", "backup", backup.to_str().unwrap()]).ok();
    let mut files = node.snapshot();
    for path in [export, backup] {
        files.push((path.clone(), std::fs::read(path).unwrap()));
    }
    for secret in secrets {
        let bare = bare(secret);
        assert!(
            !log.lock().unwrap().contains(&bare),
            "the log tells a secret"
        );
        for (path, bytes) in &files {
            let found = bytes
                .windows(bare.len())
                .any(|window| window == bare.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[test]
fn a_secret_that_was_given_by_a_file_stands_on_no_command_line() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let file = node.dir.path().join("secret");
    write_private(&file, OWN);
    let name = file.to_str().unwrap();
    let ran = node
        .run(&[
            "--connect",
            &served.address,
            "webhook",
            "add",
            &receiver.url,
            "--secret-file",
            name,
        ])
        .ok();
    assert!(
        ran.stdout.contains(OWN),
        "the answer that makes it shows it"
    );
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = node.run(&[
        "--connect",
        &served.address,
        "webhook",
        "add",
        &receiver.url,
        "--secret-file",
        name,
    ]);
    assert_eq!(refused.code, 2, "a file that others can read: {refused:?}");
    let by_word = node.run(&["webhook", "add", &receiver.url, "--secret", OWN]);
    assert_eq!(by_word.code, 2, "there is no such option");
}

#[test]
fn secrets_in_memory_do_not_print() {
    let subscribe: node::api::subscriptions::Subscribe =
        serde_json::from_value(json!({"url": "https://a.example/", "secret": OWN})).unwrap();
    let rotate: node::api::subscriptions::Rotate =
        serde_json::from_value(json!({"secret": OWN})).unwrap();
    let new = node::store::NewSubscription {
        url: String::new(),
        events: Vec::new(),
        namespace_filter: None,
        agent_filter: None,
        profile: node::webhook::sign::Profile::Standard,
        secret: OWN.to_owned().into(),
    };
    for printed in [
        format!("{subscribe:?}"),
        format!("{rotate:?}"),
        format!("{new:?}"),
    ] {
        assert!(!printed.contains(OWN), "{printed}");
    }
}

#[test]
fn the_sealed_copy_of_a_database_still_signs() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url, "secret": OWN}));
    served.stop();
    // Whoever holds the passphrase can read it: a hash could not sign.
    let script = "import os, sqlcipher3\nc = sqlcipher3.connect(os.environ['DB'])\nc.execute(\"PRAGMA key = '\" + os.environ['PASSPHRASE'] + \"'\")\nprint(c.execute('SELECT secret FROM subscriptions').fetchone()[0])";
    let db = node.db();
    let variables = [
        ("DB", db.to_str().unwrap()),
        ("PASSPHRASE", crate::support::PASSPHRASE),
    ];
    assert_eq!(pytools::script(bin, script, &variables).trim(), OWN);
    assert_eq!(made["active"], Value::Bool(true));
}
