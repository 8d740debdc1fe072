//! Host paths that a generator left in a document: home folders, build folders, store paths. They
//! tell about the machine that built, and make the document differ from machine to machine.

use serde::Serialize;
use serde_json::Value;

/// A host path in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeakedPath {
    /// Where it stands, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The text that contains the path.
    pub text: String,
}

/// Beginnings of paths that only a host has. Paths inside a hermetic root (`/src`, `/crates`) are
/// the same everywhere and are no leak.
const MARKS: &[&str] = &[
    "file:///",
    "/home/",
    "/root/",
    "/Users/",
    "/nix/store/",
    "/private/var/",
    "/var/folders/",
    "/tmp/",
    "/builds/",
    "/github/workspace",
    ":\\Users\\",
    ":/Users/",
];

pub(super) fn find(value: &Value) -> Vec<LeakedPath> {
    let mut found = Vec::new();
    walk(value, &mut String::new(), &mut found);
    found.sort();
    found
}

/// Whether a text contains a host path.
fn leaks(text: &str) -> bool {
    MARKS.iter().any(|mark| {
        text.match_indices(mark).any(|(at, _)| {
            // `https://example.org/home/x` is an address and no path: a path starts the text, or
            // follows something that cannot be part of a host name or a path.
            let before = text[..at].chars().next_back();
            mark.starts_with([':', 'f'])
                || before.is_none_or(|c| !(c.is_alphanumeric() || "/._-~%".contains(c)))
        })
    })
}

fn walk(value: &Value, pointer: &mut String, found: &mut Vec<LeakedPath>) {
    let mut descend = |step: &str, inner: &Value, found: &mut Vec<LeakedPath>| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        walk(inner, pointer, found);
        pointer.truncate(length);
    };
    match value {
        Value::String(text) if leaks(text) => {
            found.push(LeakedPath {
                pointer: pointer.clone(),
                text: text.clone(),
            });
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(n, inner)| descend(&n.to_string(), inner, found));
        }
        Value::Object(object) => object
            .iter()
            .for_each(|(name, inner)| descend(name, inner, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_paths_are_leaks_and_addresses_are_not() {
        for leak in [
            "path+file:///home/me/app#0.1.0",
            "/root/.cargo/registry/src/x",
            "C:\\Users\\me\\app",
            "--remap=/nix/store/abc-x",
        ] {
            assert!(leaks(leak), "{leak}");
        }
        for fine in [
            "https://example.org/home/x",
            "https://example.org/tmp/",
            "/src/node",
            "pkg:cargo/a@1.0.0",
            "a/tmp/b",
        ] {
            assert!(!leaks(fine), "{fine}");
        }
    }

    #[test]
    fn the_pointer_says_where() {
        let value = serde_json::json!({"components": [{"a/b": "file:///x"}]});
        assert_eq!(find(&value)[0].pointer, "/components/0/a~1b");
    }
}
