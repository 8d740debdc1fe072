//! What the documents say must be there, and what no file may say.

use super::{Files, Finding};

/// Parts of host names of package registries. Ordinary clients know their hosts; a file that names
/// one ties the project to one machine's way to it.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("python", "hosted.org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
];

/// Broken links to files in the documents, and registry hosts anywhere.
pub(super) fn findings(files: &Files) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files.ending(".md") {
        let text = files.text(path)?;
        for (line, named) in named_paths(&text, &files.folders()) {
            if !files.there(&named) {
                findings.push(Finding {
                    file: path.to_owned(),
                    line,
                    what: format!("`{named}` is named here and does not exist"),
                });
            }
        }
    }
    for path in &files.paths {
        if path.starts_with("xtask/src/tidy") {
            continue;
        }
        // A file that is not text names no host.
        let Ok(text) = files.text(path) else { continue };
        for (line, host) in registry_hosts(&text) {
            findings.push(Finding {
                file: path.clone(),
                line,
                what: format!("`{host}` is a registry's host: use the ordinary client"),
            });
        }
    }
    Ok(findings)
}

impl Files {
    /// The folders at the top.
    fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = self
            .paths
            .iter()
            .filter_map(|path| path.split_once('/'))
            .map(|(folder, _)| folder.to_owned())
            .collect();
        folders.dedup();
        folders
    }

    /// Whether a file or folder of this path exists.
    fn there(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.contains(path) || self.paths.iter().any(|known| known.starts_with(&folder))
    }
}

/// Paths in back-ticks whose first part is a folder of the repository, with their lines.
fn named_paths(text: &str, folders: &[String]) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for word in line.split('`').skip(1).step_by(2) {
            let plain = word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
            let Some((first, rest)) = word.split_once('/') else {
                continue;
            };
            if plain && !rest.is_empty() && folders.iter().any(|folder| folder == first) {
                named.push((index + 1, word.to_owned()));
            }
        }
    }
    named
}

fn registry_hosts(text: &str) -> Vec<(usize, &'static str)> {
    let mut hosts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for host in REGISTRY_HOSTS {
            if line.contains(host) {
                hosts.push((index + 1, *host));
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_back_ticks_is_a_path_only_under_a_folder_of_the_repository() {
        let folders = ["verify".to_owned()];
        let text = "see `verify/src/x.rs`, `verify release`, `/etc/x` and `a/b`\n\
                    ```\n`verify/none.rs`\n```\n";
        assert_eq!(
            named_paths(text, &folders),
            [(1, "verify/src/x.rs".to_owned())]
        );
    }

    #[test]
    fn a_registry_host_is_found_with_its_line() {
        assert_eq!(
            registry_hosts(concat!("a\nhttps://static.", "crates.io/x\n")),
            [(2, concat!("static.", "crates.io"))]
        );
    }
}
