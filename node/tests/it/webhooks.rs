//! Webhooks: signed the way they are documented, so that anybody's program can tell a genuine
//! delivery from any other.

use std::io::Write as _;

use node::webhook::sign::{self, Profile};
use serde_json::{Value, json};

use crate::receiver::{
    Got, Receiver, answer, deliveries_once, serve_to_loopback, store, subscribe,
};
use crate::support::{Scratch, write_private};
use crate::{npmtools, pytools, receiver_recipe};

/// One delivery as some receiver may get it, and whether it is to be believed.
fn case(secret: &str, profile: &str, got: &Got, genuine: bool) -> Value {
    json!({
        "secret": secret, "profile": profile, "body": got.body, "headers": got.headers,
        "genuine": genuine,
    })
}

/// A genuine delivery, and what a forger may make of it: none of that is to be believed.
fn genuine_and_forged(secret: &str, profile: Profile, got: &Got) -> Vec<Value> {
    let name = profile.as_str();
    let mut cases = vec![
        case(secret, name, got, true),
        case("whsec_d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=", name, got, false),
    ];
    for changed in [
        got.body.replacen("memory", "Memory", 1),
        format!("{} ", got.body),
        got.body[..got.body.len() - 1].to_owned(),
    ] {
        assert_ne!(changed, got.body);
        let forged = Got {
            body: changed,
            ..got.clone()
        };
        cases.push(case(secret, name, &forged, false));
    }
    // An old one that was signed with the right secret: only its age gives it away.
    let old = got.timestamp() - 3600;
    let mut replayed = got.clone();
    let body = got.body.as_bytes();
    for (header, value) in [
        ("x-ai-memory-timestamp", old.to_string()),
        ("webhook-timestamp", old.to_string()),
        (
            "x-ai-memory-signature",
            sign::memory_signature(secret, profile, old, body),
        ),
        (
            "webhook-signature",
            sign::standard_signature(secret, got.id(), old, body),
        ),
    ] {
        replayed.headers.insert(header.to_owned(), value);
    }
    cases.push(case(secret, name, &replayed, false));
    // The fresh time with the old signature.
    for header in ["x-ai-memory-timestamp", "webhook-timestamp"] {
        let now = got.headers[header].clone();
        replayed.headers.insert(header.to_owned(), now);
    }
    cases.push(case(secret, name, &replayed, false));
    cases
}

/// Deliveries of three subscriptions: a generated secret, an own one, and the legacy profile.
fn real_deliveries() -> Vec<Value> {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let own = "a-secret-of-the-receiver";
    let mut cases = Vec::new();
    for (asked, profile) in [
        (json!({}), Profile::Standard),
        (json!({"secret": own}), Profile::Standard),
        (
            json!({"secret": own, "profile": "legacy-sha256"}),
            Profile::LegacySha256,
        ),
    ] {
        let receiver = Receiver::accepting();
        let mut body = asked;
        body["url"] = json!(receiver.url);
        let made = subscribe(&served, body);
        assert_eq!(made["profile"], profile.as_str());
        store(&served, "announced");
        let got = receiver.wait_for(1).remove(0);
        let secret = made["secret"].as_str().unwrap();
        cases.extend(genuine_and_forged(secret, profile, &got));
    }
    cases
}

#[test]
fn a_delivery_carries_both_signatures_over_the_exact_bytes() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url}));
    let secret = made["secret"].as_str().unwrap();
    let id = store(&served, "announced");
    let got = receiver.wait_for(1).remove(0);
    let event = got.event();
    assert_eq!(
        (&event["event"], &event["data"]["id"], &event["id"]),
        (&json!("memory.created"), &json!(id), &json!(got.id()))
    );
    assert!(
        !got.body.contains("\"content\""),
        "texts are not announced: {}",
        got.body
    );
    let (at, body) = (got.timestamp(), got.body.as_bytes());
    let signature = &got.headers["x-ai-memory-signature"];
    sign::verify(secret, Profile::Standard, signature, at, body, at, 0).unwrap();
    assert_eq!(got.headers["webhook-timestamp"], at.to_string());
    let standard = &got.headers["webhook-signature"];
    sign::verify_standard(secret, got.id(), standard, at, body, at, 0).unwrap();
}

#[test]
fn deliveries_verify_in_python_and_forged_ones_do_not() {
    let Some(bin) = pytools::bin() else { return };
    let cases = Value::from(real_deliveries()).to_string();
    let said = pytools::script(
        bin,
        include_str!("python/webhooks.py"),
        &[("CASES", &cases)],
    );
    assert!(said.contains("21 cases"), "{said}");
}

#[test]
fn deliveries_verify_in_node_js_and_forged_ones_do_not() {
    let cases = Value::from(real_deliveries()).to_string();
    let script = include_str!("python/webhooks.mjs");
    npmtools::bare_module(script, &[("CASES", &cases)]);
    npmtools::module(script, &[("CASES", &cases), ("WITH_PACKAGES", "1")]);
}

/// The block of this language in the receivers' document.
fn recipe(language: &str) -> &'static str {
    let document = include_str!("../../../docs/webhooks.md");
    let begin = format!("```{language}\n");
    let (_, rest) = document.split_once(&begin).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_documented_recipes_tell_genuine_from_forged() {
    let cases: Vec<Value> = real_deliveries()
        .into_iter()
        .filter(|case| case["profile"] == "standard")
        .collect();
    for case in &cases {
        let header = |name: &str| case["headers"][name].as_str().unwrap();
        let believed = receiver_recipe::verify(
            case["secret"].as_str().unwrap(),
            header("x-ai-memory-timestamp"),
            header("x-ai-memory-signature"),
            case["body"].as_str().unwrap().as_bytes(),
        );
        assert_eq!(json!(believed), case["genuine"], "Rust: {case}");
    }
    assert_eq!(
        recipe("rust").trim(),
        include_str!("receiver_recipe.rs")
            .split_once("\n\n")
            .unwrap()
            .1
            .trim(),
        "the document shows another program than the one that was run"
    );
    let cases = Value::from(cases).to_string();
    let node_js = format!(
        "{}\nfor (const {{ secret, headers, body, genuine }} of JSON.parse(process.env.CASES)) {{\n\
         if (verify(secret, headers, Buffer.from(body)) !== genuine) throw new Error(body);\n}}",
        recipe("js")
    );
    npmtools::bare_module(&node_js, &[("CASES", &cases)]);
    let python = format!(
        "import json, os\n{}\nfor case in json.loads(os.environ['CASES']):\n    \
         headers = {{name.title(): value for name, value in case['headers'].items()}}\n    \
         headers = {{name.replace('Ai-', 'AI-'): value for name, value in headers.items()}}\n    \
         assert verify(case['secret'], headers, case['body'].encode()) == case['genuine'], case\n",
        recipe("python")
    );
    if let Some(bin) = pytools::bin() {
        pytools::script(bin, &python, &[("CASES", &cases)]);
    }
}

#[test]
fn the_command_line_checks_a_delivery() {
    use std::process::Stdio;
    let node = Scratch::empty();
    let secret = node.dir.path().join("secret");
    let text = "whsec-test-secret-0123456789abcdef";
    write_private(&secret, text);
    let check = |body: &str, args: &[&str]| {
        let mut child = node
            .bare()
            .args(["webhook", "verify", "--timestamp", "1700000000"])
            .args(["--secret-file", secret.to_str().unwrap()])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(body.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(text), "it tells the secret: {said}");
        (output.status.code().unwrap(), said)
    };
    let body = r#"{"event":"memory.created","id":"mem_01"}"#;
    let vector = "sha256=5247fff4e8aec8930354fdcd9496b508141525acab14ddb620f29a1e86a6bb3e";
    let ever = ["--signature", vector, "--window-s", "9999999999"];
    assert_eq!(check(body, &ever).0, 0);
    let (code, said) = check(body, &["--signature", vector]);
    assert_eq!(code, 1, "an old timestamp");
    assert!(
        said.contains("hint:") && said.contains("seconds away"),
        "{said}"
    );
    assert_eq!(
        check(&body.replace("01", "02"), &ever).0,
        1,
        "a changed byte"
    );
    let legacy = [&ever[..], &["--profile", "legacy-sha256"]].concat();
    assert_eq!(check(body, &legacy).0, 1, "another profile");
    let signed =
        sign::memory_signature(text, Profile::LegacySha256, 1_700_000_000, body.as_bytes());
    let legacy = [&["--signature", signed.as_str()][..], &legacy[2..]].concat();
    assert_eq!(check(body, &legacy).0, 0);
    let signed = sign::standard_signature(text, "evt_1", 1_700_000_000, body.as_bytes());
    let both = format!("v1,AAAA {signed}");
    let standard = [
        "--signature",
        both.as_str(),
        "--window-s",
        "9999999999",
        "--webhook-id",
    ];
    assert_eq!(check(body, &[&standard[..], &["evt_1"]].concat()).0, 0);
    assert_eq!(check(body, &[&standard[..], &["evt_2"]].concat()).0, 1);
    assert_eq!(check(body, &["--signature", "nonsense"]).0, 1);
}

#[test]
fn a_failed_delivery_is_made_again_under_the_same_id_with_a_fresh_timestamp() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::start(|n| answer(if n == 0 { 500 } else { 200 }));
    let made = subscribe(&served, json!({"url": receiver.url}));
    store(&served, "announced");
    let got = receiver.wait_for(2);
    assert_eq!((got[0].id(), &got[0].body), (got[1].id(), &got[1].body));
    assert!(
        got[1].timestamp() >= got[0].timestamp() + 5,
        "it was made again too early"
    );
    let rows = deliveries_once(&served, made["id"].as_str().unwrap(), |rows| {
        rows[0]["state"] == "delivered"
    });
    assert_eq!(rows[0]["attempts"], 2);
}
