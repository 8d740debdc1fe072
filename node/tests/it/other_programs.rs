//! Programs that this project did not write: they read, call and attack the real binary.

use std::process::Command;

use crate::pytools;
use crate::support::{PASSPHRASE, Scratch};

#[test]
fn two_independent_programs_open_the_database_with_the_plain_passphrase() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    node.store("Harbour", "the lighthouse keeper");
    let db = node.db();
    let variables = [("DB", db.to_str().unwrap()), ("PASSPHRASE", PASSPHRASE)];
    pytools::script(bin, include_str!("python/open_elsewhere.py"), &variables);
    node.run(&["db", "check"]).ok();
}

#[test]
fn stock_sqlite_refuses_the_database() {
    let node = Scratch::new();
    let Ok(output) = Command::new("sqlite3")
        .arg(node.db())
        .arg(".tables")
        .output()
    else {
        println!("skipped: no `sqlite3` program is installed");
        return;
    };
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a database"));
}

#[test]
fn the_python_client_works_unchanged() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = node.serve();
    let url = format!("http://{}", served.address);
    let variables = [("URL", url.as_str()), ("TOKEN", served.token.as_str())];
    pytools::script(bin, include_str!("python/client.py"), &variables);
    node.run(&["stats"]).ok();
}

#[test]
fn the_official_mcp_client_drives_all_tools_over_stdio_and_http() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = node.serve();
    let url = format!("http://{}", served.address);
    let data = node.data();
    let variables = [
        ("URL", url.as_str()),
        ("TOKEN", served.token.as_str()),
        ("NODE", env!("CARGO_BIN_EXE_memory-node")),
        ("DATA", data.to_str().unwrap()),
    ];
    pytools::script(bin, include_str!("python/mcp_client.py"), &variables);
}

#[test]
fn mcp_over_http_checks_token_and_origin() {
    let node = Scratch::new();
    let served = node.serve();
    let call = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let accept = ("Accept", "application/json, text/event-stream");
    let evil = [accept, ("Origin", "https://evil.example")];
    served
        .http_with("POST", "/mcp", Some(&call), &evil)
        .expect(403);
    let host = served.address.clone();
    let headers = [("Host", host.as_str()), accept];
    served
        .http_raw("POST", "/mcp", Some(&call.to_string()), &headers)
        .expect(401);
}

#[test]
fn the_mcp_bridge_never_opens_the_database() {
    let node = Scratch::new();
    let ran = node.run(&["mcp", "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "not_running"));
}
