//! Who may come in: `Host`, `Origin`, the token.

use crate::support::Scratch;

#[test]
fn only_the_token_lets_in() {
    let node = Scratch::new();
    let served = node.serve();
    let host = served.address.clone();
    let ask = |headers: &[(&str, &str)]| {
        let mut all = vec![("Host", host.as_str())];
        all.extend_from_slice(headers);
        served.http_raw("GET", "/api/v1/stats", None, &all)
    };
    let none = ask(&[]).expect(401);
    assert_eq!(none.json()["code"], "token_missing");
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    assert_eq!(
        none.header("content-type"),
        Some("application/problem+json")
    );
    ask(&[("Authorization", "Bearer mn_wrong")]).expect(401);
    ask(&[("Authorization", "Bearer ")]).expect(401);
    ask(&[("Authorization", &format!("Basic {}", node.token()))]).expect(401);
    ask(&[("Authorization", &format!("bearer {}", node.token()))]).expect(200);
    ask(&[("X-API-Key", &node.token())]).expect(200);
}

#[test]
fn a_foreign_host_is_refused_even_with_the_token() {
    let node = Scratch::new();
    let served = node.serve();
    let bearer = format!("Bearer {}", node.token());
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1:1",
        "localhost.evil.example",
        "",
    ] {
        let headers = [("Host", host), ("Authorization", bearer.as_str())];
        let answer = served.http_raw("GET", "/api/v1/stats", None, &headers);
        assert!(matches!(answer.status, 400 | 403), "{host}: {answer:?}");
    }
    let port = served.address.rsplit(':').next().unwrap();
    let localhost = format!("LOCALHOST:{port}");
    let headers = [
        ("Host", localhost.as_str()),
        ("Authorization", bearer.as_str()),
    ];
    served
        .http_raw("GET", "/api/v1/stats", None, &headers)
        .expect(200);
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let node = Scratch::new();
    let served = node.serve_with(&["--allow-origin", "https://tool.example"]);
    let own = format!("http://{}", served.address);
    let ask = |origin: &str| {
        served
            .http_with("GET", "/api/v1/stats", None, &[("Origin", origin)])
            .status
    };
    assert_eq!(ask("https://evil.example"), 403);
    assert_eq!(ask("null"), 403);
    assert_eq!(ask(&own), 200);
    assert_eq!(ask("https://tool.example"), 200);
}

#[test]
fn health_tells_little_to_everybody() {
    let node = Scratch::new();
    let served = node.serve();
    let host = [("Host", served.address.as_str())];
    for path in [
        "/livez",
        "/readyz",
        "/api/v1/health",
        "/openapi.json",
        "/docs",
    ] {
        served.http_raw("GET", path, None, &host).expect(200);
    }
    for path in [
        "/metrics",
        "/api/v1/metrics",
        "/api/v1/export",
        "/api/v1/memories",
    ] {
        served.http_raw("GET", path, None, &host).expect(401);
    }
    let health = served.http_raw("GET", "/api/v1/health", None, &host).json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["storage"], "encrypted");
}

#[test]
fn a_new_token_ends_the_old_one() {
    let node = Scratch::new();
    let old = node.token();
    node.run(&["token"]).ok();
    assert_ne!(node.token(), old);
    let served = node.serve();
    served.http("GET", "/api/v1/stats", None).expect(200);
    let bearer = format!("Bearer {old}");
    let headers = [
        ("Host", served.address.as_str()),
        ("Authorization", bearer.as_str()),
    ];
    served
        .http_raw("GET", "/api/v1/stats", None, &headers)
        .expect(401);
}
