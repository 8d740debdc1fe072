//! Every check of the table has tests that see it pass, fail and be undecided, in files that its
//! documentation names.

use std::path::Path;

use verify::check::CHECKS;

#[test]
fn every_check_has_a_pass_a_fail_and_an_undecided() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/verify.md")).unwrap();
    for check in CHECKS {
        let section = page
            .split(&format!("### {}\n", check.id))
            .nth(1)
            .and_then(|rest| rest.split("\n##").next())
            .unwrap_or_else(|| panic!("{} has no section in docs/verify.md", check.id));
        let sources: Vec<String> = section
            .split('`')
            .filter(|quoted| quoted.ends_with(".rs"))
            .map(|path| {
                std::fs::read_to_string(root.join(path))
                    .unwrap_or_else(|error| panic!("{path}: {error}"))
            })
            .collect();
        for ending in ["pass", "fail", "undecided"] {
            let named = |line: &str| {
                line.trim_start()
                    .strip_prefix("fn ")
                    .and_then(|rest| rest.split('(').next())
                    .is_some_and(|name| {
                        name.ends_with(&format!("_{ending}"))
                            || name.contains(&format!("_{ending}_"))
                    })
            };
            assert!(
                sources.iter().any(|source| source.lines().any(named)),
                "no test of the check `{}` ends in `_{ending}`",
                check.id
            );
        }
    }
}

#[test]
fn every_weakness_of_others_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/known-weaknesses.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut tests = 0;
    for row in rows.skip(1) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let quoted: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        let (files, names): (Vec<_>, Vec<_>) =
            quoted.into_iter().partition(|word| word.ends_with(".rs"));
        assert!(!files.is_empty(), "no file of tests in: {row}");
        let sources: Vec<String> = files
            .iter()
            .map(|path| {
                std::fs::read_to_string(root.join(path))
                    .unwrap_or_else(|error| panic!("{path}: {error}"))
            })
            .collect();
        for name in names {
            let function = format!("fn {name}(");
            assert!(
                sources.iter().any(|source| source.contains(&function)),
                "there is no test `{name}` in {files:?}"
            );
            tests += 1;
        }
    }
    assert!(tests > 30, "only {tests} tests are named");
}
