//! The OpenAPI document: true to the routes, and held against the node by a program that tries to
//! break it.

use std::process::Command;

use crate::pytools;
use crate::support::Scratch;

#[test]
fn the_document_is_openapi_3_1_and_every_path_in_it_answers() {
    let node = Scratch::new();
    let served = node.serve();
    let document = served.http("GET", "/openapi.json", None).expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let printed: serde_json::Value =
        serde_json::from_str(&node.run(&["openapi"]).ok().stdout).unwrap();
    assert_eq!(printed, document);
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "01990000-0000-7000-8000-000000000000");
        for method in methods.as_object().unwrap().keys() {
            let answer = served.http(&method.to_uppercase(), &path, None);
            let code = serde_json::from_str::<serde_json::Value>(&answer.body)
                .map(|body| body["code"].clone())
                .unwrap_or_default();
            assert!(
                code != "no_such_path" && code != "no_such_method",
                "{method} {path}"
            );
        }
    }
}

#[test]
fn the_page_for_reading_it_needs_no_network() {
    let node = Scratch::new();
    let served = node.serve();
    let page = served.http("GET", "/docs", None).expect(200);
    assert!(
        !page.body.contains("http://") && !page.body.contains("https://"),
        "it names a server"
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
}

#[test]
fn schemathesis_finds_no_server_error_and_no_violation() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = node.serve();
    let examples = std::env::var("HALLMARK_EXAMPLES").unwrap_or_else(|_| "4".to_owned());
    let output = Command::new(bin.join("schemathesis"))
        .args(["run", &format!("http://{}/openapi.json", served.address)])
        .args(["--url", &format!("http://{}", served.address)])
        .args(["-H", &format!("Authorization: Bearer {}", served.token)])
        .args(["--max-examples", &examples, "--seed", "1", "--phases", "examples,coverage,fuzzing"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"])
        .arg("--no-color")
        .current_dir(node.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.find("= SUMMARY").map_or("", |place| &said[place..]);
    println!("{summary}");
    assert!(said.contains("Tested:"), "nothing was tested: {said}");
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
