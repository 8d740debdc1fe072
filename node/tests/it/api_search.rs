//! Search and recall: words, order, filters, budget.

use serde_json::{Value, json};

use crate::support::{Scratch, Served};

fn store(served: &Served, body: Value) -> String {
    let answer = served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn titles(answer: &Value) -> Vec<String> {
    let rows = answer["memories"].as_array().unwrap();
    rows.iter()
        .map(|row| row["title"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn all_words_must_be_there_and_the_title_counts_most() {
    let node = Scratch::new();
    let served = node.serve();
    store(
        &served,
        json!({"title": "other", "content": "alpha beta gamma and much more text"}),
    );
    store(
        &served,
        json!({"title": "alpha beta", "content": "nothing"}),
    );
    store(&served, json!({"title": "alpha", "content": "alone"}));
    let answer = served
        .http("GET", "/api/v1/search?q=beta+alpha", None)
        .expect(200)
        .json();
    assert_eq!(titles(&answer), ["alpha beta", "other"]);
    assert_eq!(answer["results"], answer["memories"]);
    assert_eq!(
        (&answer["count"], &answer["query"]),
        (&json!(2), &json!("beta alpha"))
    );
    assert_eq!(answer["ranking"], "bm25");
}

#[test]
fn no_query_is_an_error_of_fts5() {
    let node = Scratch::new();
    let served = node.serve();
    store(&served, json!({"title": "a", "content": "NOT near"}));
    for query in [
        "%22",
        "a%22",
        "NOT",
        "a+AND",
        "(",
        "title%3Aa",
        "%2A",
        "a%2A",
        "-a",
        "%00",
        "%F0%9F%A6%80",
    ] {
        served
            .http("GET", &format!("/api/v1/search?q={query}"), None)
            .expect(200);
    }
    served.http("GET", "/api/v1/search", None).expect(400);
    let long = "a".repeat(1025);
    served
        .http("GET", &format!("/api/v1/search?q={long}"), None)
        .expect(400);
}

#[test]
fn filters_narrow_a_search_down() {
    let node = Scratch::new();
    let served = node.serve();
    store(
        &served,
        json!({"title": "w 1", "content": "c", "namespace": "x", "tags": ["red", "big"]}),
    );
    store(
        &served,
        json!({"title": "w 2", "content": "c", "namespace": "y", "tags": ["red"], "priority": 9}),
    );
    store(
        &served,
        json!({"title": "w 3", "content": "c", "tier": "long", "agent_id": "bob"}),
    );
    let find = |rest: &str| {
        titles(
            &served
                .http("GET", &format!("/api/v1/search?q=w{rest}"), None)
                .expect(200)
                .json(),
        )
    };
    assert_eq!(find("&namespace=x"), ["w 1"]);
    assert_eq!(find("&tags=red,big"), ["w 1"]);
    assert_eq!(find("&min_priority=9"), ["w 2"]);
    assert_eq!(find("&tier=long"), ["w 3"]);
    assert_eq!(find("&agent_id=bob"), ["w 3"]);
    assert_eq!(find("&since=2999-01-01T00:00:00Z"), Vec::<String>::new());
    assert_eq!(find("&limit=1").len(), 1);
}

#[test]
fn recall_takes_any_word_keeps_to_its_budget_and_counts() {
    let node = Scratch::new();
    let served = node.serve();
    let id = store(
        &served,
        json!({"title": "tea", "content": "the kettle is in the kitchen"}),
    );
    store(
        &served,
        json!({"title": "car", "content": "parked far away ".repeat(40)}),
    );
    let body = json!({"context": "where did I park the car, and where is the kettle?", "limit": 5});
    let answer = served
        .http("POST", "/api/v1/recall", Some(&body))
        .expect(200)
        .json();
    assert_eq!(answer["count"], 2);
    let body = json!({"context": "kettle kitchen car", "budget_tokens": 20});
    let small = served
        .http("POST", "/api/v1/recall", Some(&body))
        .expect(200)
        .json();
    assert_eq!(titles(&small), ["tea"]);
    let by_get = served
        .http("GET", "/api/v1/recall?context=kettle", None)
        .expect(200)
        .json();
    assert_eq!(titles(&by_get), ["tea"]);
    let memory = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .json();
    assert_eq!(memory["access_count"], 3);
    assert!(memory["last_accessed_at"].is_string());
}

#[test]
fn a_broad_query_shows_titles_and_the_newest_first_and_says_so() {
    let node = Scratch::new();
    let served = node.serve();
    store(
        &served,
        json!({"title": "everywhere", "content": "old but in the title"}),
    );
    let batch: Vec<Value> = (0..1000)
        .map(|n| json!({"title": format!("n{n}"), "content": "everywhere"}))
        .collect();
    served
        .http("POST", "/api/v1/memories/bulk", Some(&json!(batch)))
        .expect(201);
    let answer = served
        .http("GET", "/api/v1/search?q=everywhere&limit=3", None)
        .expect(200)
        .json();
    assert_eq!(answer["ranking"], "newest");
    assert_eq!(titles(&answer), ["everywhere", "n999", "n998"]);
}

#[test]
fn what_has_expired_is_gone_from_every_answer() {
    let node = Scratch::new();
    let served = node.serve();
    let id = store(
        &served,
        json!({"title": "gone", "content": "c", "expires_at": "2020-01-01T00:00:00Z"}),
    );
    served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(404);
    for path in ["/api/v1/memories?x=", "/api/v1/search?q=gone"] {
        assert_eq!(served.http("GET", path, None).json()["count"], 0, "{path}");
    }
    assert_eq!(
        served.http("POST", "/api/v1/gc", None).expect(200).json()["deleted"],
        1
    );
    assert_eq!(served.http("GET", "/api/v1/stats", None).json()["total"], 0);
}

#[test]
fn forget_needs_a_name_and_takes_what_it_names() {
    let node = Scratch::new();
    let served = node.serve();
    store(
        &served,
        json!({"title": "a", "content": "c", "namespace": "x"}),
    );
    store(
        &served,
        json!({"title": "b", "content": "c", "namespace": "y"}),
    );
    served.http("POST", "/api/v1/forget", None).expect(400);
    let answer = served
        .http("POST", "/api/v1/forget?namespace=x", None)
        .expect(200)
        .json();
    assert_eq!(answer["deleted"], 1);
    let left = served.http("GET", "/api/v1/namespaces", None).json();
    assert_eq!(left["namespaces"], json!([{"namespace": "y", "count": 1}]));
}
