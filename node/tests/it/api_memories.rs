//! `/memories` and `/links`: shapes, preconditions, repetition, limits.

use serde_json::json;

use crate::support::{Scratch, Served};

fn create(served: &Served, title: &str) -> String {
    let body = json!({"title": title, "content": "c"});
    let answer = served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_stored_memory_has_the_shape_that_clients_know() {
    let node = Scratch::new();
    let served = node.serve();
    let body = json!({"title": "t", "content": "c", "tags": ["a", "b"], "scope": "team"});
    let answer = served.http_with(
        "POST",
        "/api/v1/memories",
        Some(&body),
        &[("X-Agent-Id", "agent-7")],
    );
    let created = answer.expect(201).json();
    for (field, value) in [
        ("tier", "mid"),
        ("namespace", "global"),
        ("title", "t"),
        ("agent_id", "agent-7"),
    ] {
        assert_eq!(created[field], value, "{created}");
    }
    let id = created["id"].as_str().unwrap();
    let shown = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200)
        .json();
    assert_eq!(
        shown["metadata"],
        json!({"agent_id": "agent-7", "scope": "team"})
    );
    assert_eq!(shown["links"], json!([]));
    assert_eq!(shown["memory"]["tags"], json!(["a", "b"]));
    assert_eq!(id.as_bytes()[14], b'7', "{id} is not a UUID of version 7");
}

#[test]
fn a_title_overwrites_nothing() {
    let node = Scratch::new();
    let served = node.serve();
    assert_ne!(create(&served, "same"), create(&served, "same"));
    let list = served.http("GET", "/api/v1/memories", None).json();
    assert_eq!(list["count"], 2);
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let node = Scratch::new();
    let served = node.serve();
    let cases = [
        (json!({"title": "", "content": "c"}), "title"),
        (json!({"title": "t", "content": ""}), "content"),
        (
            json!({"title": "t", "content": "c", "priority": 11}),
            "priority",
        ),
        (
            json!({"title": "t", "content": "c", "confidence": 1.5}),
            "confidence",
        ),
        (
            json!({"title": "t", "content": "c", "namespace": " x"}),
            "namespace",
        ),
        (
            json!({"title": "t", "content": "c", "expires_at": "soon"}),
            "expires_at",
        ),
        (
            json!({"title": "t", "content": "x".repeat(65537)}),
            "content",
        ),
    ];
    for (body, field) in cases {
        let problem = served
            .http("POST", "/api/v1/memories", Some(&body))
            .expect(400);
        assert_eq!(problem.json()["field"], field, "{problem:?}");
    }
    let host = served.address.clone();
    let bearer = format!("Bearer {}", node.token());
    let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
    for body in [
        "",
        "{",
        "[]",
        r#"{"title":"t"}"#,
        r#"{"title":"t","content":"c","tittle":1}"#,
    ] {
        let problem = served
            .http_raw("POST", "/api/v1/memories", Some(body), &headers)
            .expect(400);
        assert_eq!(problem.json()["code"], "invalid_json", "{body}");
    }
    let text = [headers[0], headers[1], ("Content-Type", "text/plain")];
    served
        .http_raw("POST", "/api/v1/memories", Some("{}"), &text)
        .expect(415);
    let huge = format!(r#"{{"title":"t","content":"{}"}}"#, "x".repeat(600 * 1024));
    served
        .http_raw("POST", "/api/v1/memories", Some(&huge), &headers)
        .expect(413);
}

#[test]
fn an_update_needs_the_version_that_it_was_made_for() {
    let node = Scratch::new();
    let served = node.serve();
    let path = format!("/api/v1/memories/{}", create(&served, "t"));
    let first = served.http("GET", &path, None);
    let tag = first.header("etag").unwrap().to_owned();
    let change = json!({"title": "u"});
    let changed = served
        .http_with("PUT", &path, Some(&change), &[("If-Match", &tag)])
        .expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    assert_eq!(changed.json()["title"], "u");
    let late = served
        .http_with("PUT", &path, Some(&change), &[("If-Match", &tag)])
        .expect(412);
    assert_eq!(late.json()["code"], "version_mismatch");
    served
        .http_with("DELETE", &path, None, &[("If-Match", &tag)])
        .expect(412);
    let now = served.http("GET", &path, None);
    let tag = now.header("etag").unwrap();
    served
        .http_with("GET", &path, None, &[("If-None-Match", tag)])
        .expect(304);
    served
        .http_with("DELETE", &path, None, &[("If-Match", tag)])
        .expect(200);
    served.http("GET", &path, None).expect(404);
    served.http("DELETE", &path, None).expect(404);
}

#[test]
fn an_update_is_searched_by_its_new_words_only() {
    let node = Scratch::new();
    let served = node.serve();
    let path = format!("/api/v1/memories/{}", create(&served, "zebra"));
    served
        .http("PUT", &path, Some(&json!({"title": "giraffe"})))
        .expect(200);
    let count = |word: &str| {
        served
            .http("GET", &format!("/api/v1/search?q={word}"), None)
            .json()["count"]
            .clone()
    };
    assert_eq!((count("zebra"), count("giraffe")), (json!(0), json!(1)));
    served.http("DELETE", &path, None).expect(200);
    assert_eq!(count("giraffe"), json!(0));
}

#[test]
fn the_same_key_does_it_once() {
    let node = Scratch::new();
    let served = node.serve();
    let body = json!({"title": "t", "content": "c"});
    let store = |body: &serde_json::Value| {
        served.http_with(
            "POST",
            "/api/v1/memories",
            Some(body),
            &[("Idempotency-Key", "k1")],
        )
    };
    let first = store(&body).expect(201);
    let second = store(&body).expect(201);
    assert_eq!(first.json(), second.json());
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    store(&json!({"title": "other", "content": "c"})).expect(422);
    assert_eq!(served.http("GET", "/api/v1/stats", None).json()["total"], 1);
}

#[test]
fn a_listing_goes_on_where_it_ended_while_others_write() {
    let node = Scratch::new();
    let served = node.serve();
    for n in 0..7 {
        create(&served, &format!("t{n}"));
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/memories?limit=3{cursor}");
        let page = served.http("GET", &path, None).expect(200).json();
        for memory in page["memories"].as_array().unwrap() {
            seen.push(memory["title"].as_str().unwrap().to_owned());
        }
        create(&served, "later");
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]);
    served
        .http("GET", "/api/v1/memories?cursor=AAAA", None)
        .expect(400);
    served
        .http("GET", "/api/v1/memories?limit=0", None)
        .expect(400);
}

#[test]
fn links_are_signed_made_once_and_go_with_their_memories() {
    let node = Scratch::new();
    let served = node.serve();
    let (a, b) = (create(&served, "a"), create(&served, "b"));
    let link = json!({"source_id": a, "target_id": b, "relation": "supersedes"});
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(201);
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(200);
    let links = served
        .http("GET", &format!("/api/v1/links/{b}"), None)
        .json();
    assert_eq!(links["count"], 1);
    assert_eq!(links["links"][0]["relation"], "supersedes");
    assert_eq!(links["links"][0]["signature"].as_str().unwrap().len(), 128);
    let itself = json!({"source_id": a, "target_id": a});
    served
        .http("POST", "/api/v1/links", Some(&itself))
        .expect(400);
    let nowhere = json!({"source_id": a, "target_id": "01990000-0000-7000-8000-000000000000"});
    served
        .http("POST", "/api/v1/links", Some(&nowhere))
        .expect(404);
    served
        .http("DELETE", "/api/v1/links", Some(&link))
        .expect(200);
    served
        .http("DELETE", "/api/v1/links", Some(&link))
        .expect(404);
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(201);
    served
        .http("DELETE", &format!("/api/v1/memories/{a}"), None)
        .expect(200);
    assert_eq!(
        served
            .http("GET", &format!("/api/v1/links/{b}"), None)
            .json()["count"],
        0
    );
}

#[test]
fn a_batch_stores_the_good_and_names_the_bad() {
    let node = Scratch::new();
    let served = node.serve();
    let batch = json!([
        {"title": "a", "content": "c"}, {"title": "", "content": "c"}, {"title": "b"},
        {"title": "d", "content": "c"},
    ]);
    let answer = served
        .http("POST", "/api/v1/memories/bulk", Some(&batch))
        .expect(201)
        .json();
    assert_eq!(answer["created"], 2);
    assert_eq!(answer["ids"].as_array().unwrap().len(), 2);
    assert_eq!(answer["errors"][0]["index"], 1);
    assert_eq!(answer["errors"][1]["index"], 2);
    let many = vec![json!({"title": "a", "content": "c"}); 1001];
    served
        .http("POST", "/api/v1/memories/bulk", Some(&json!(many)))
        .expect(400);
}

#[test]
fn an_export_can_be_taken_in_elsewhere_and_twice() {
    let node = Scratch::new();
    let served = node.serve();
    let (a, b) = (create(&served, "a"), create(&served, "b"));
    let link = json!({"source_id": a, "target_id": b});
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(201);
    let export = served
        .http("GET", "/api/v1/export", None)
        .expect(200)
        .json();
    assert_eq!(export["count"], 2);
    let other = Scratch::new();
    let there = other.serve();
    let first = there
        .http("POST", "/api/v1/import", Some(&export))
        .expect(200)
        .json();
    assert_eq!(
        (&first["imported"], &first["links"]),
        (&json!(2), &json!(1))
    );
    let again = there
        .http("POST", "/api/v1/import", Some(&export))
        .expect(200)
        .json();
    assert_eq!(
        (&again["imported"], &again["skipped"]),
        (&json!(0), &json!(2))
    );
    let here = served
        .http("GET", &format!("/api/v1/memories/{a}"), None)
        .json();
    let same = there
        .http("GET", &format!("/api/v1/memories/{a}"), None)
        .json();
    assert_eq!(here["created_at"], same["created_at"]);
    assert_eq!(here["content"], same["content"]);
}

#[test]
fn paths_and_methods_that_are_not_there_are_problems_too() {
    let node = Scratch::new();
    let served = node.serve();
    assert_eq!(
        served.http("GET", "/nowhere", None).expect(404).json()["code"],
        "no_such_path"
    );
    let wrong = served.http("PATCH", "/api/v1/memories", None).expect(405);
    assert_eq!(wrong.json()["code"], "no_such_method");
    assert!(wrong.header("allow").is_some());
}
