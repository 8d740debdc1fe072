//! Check `rebuild`: a build that was not made, or could not be made, is no verdict. What a build
//! that was made says is in `verify/src/checks/rebuild.rs`; whole builds are in xtask's tests.

use verify::check::{CheckId, Outcome};
use verify::load::policy::Policy;
use verify::report::assay;
use verify::verdict::Verdict;

use crate::fixture::release::{outcome, said};
use crate::fixture::{Release, text, verify_without_network};

#[test]
fn rebuild_that_nobody_asked_for_undecided() {
    let release = Release::good();
    let mut request = release.request();
    request.policy = Policy::strict().requiring(CheckId::Rebuild);
    let report = assay(request);
    let found = outcome(&report, CheckId::Rebuild);
    assert!(matches!(found, Outcome::Undecided { .. }), "{found:?}");
    assert!(said(&found).contains("it was not asked for"));
    assert_eq!(report.verdict, Verdict::NoVerdict);
}

#[test]
fn rebuild_whose_inputs_are_not_to_be_had_undecided() {
    let release = Release::good();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let policy = release.gnupg.home().join("policy.toml");
    std::fs::write(&policy, "version = 1\n[advisories]\nmax_age_days = 36500\n").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let Some(mut command) = verify_without_network() else {
        return;
    };
    let output = command
        .arg("release")
        .arg(release.root())
        .arg("--keyring")
        .arg(&keys)
        .arg("--policy")
        .arg(&policy)
        .arg("--advisory-db")
        .arg(&release.db)
        .args(["--rebuild", "--engine", "namespaces", "--cache"])
        .arg(cache.path())
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("UNDECIDED rebuild"), "{said}");
    assert!(
        said.contains("verdict: NO VERDICT (could not be checked: rebuild)"),
        "{said}"
    );
}
