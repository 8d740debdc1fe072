//! Check `sbom`: what is in the binary and not in the SBOM, or the reverse, is named.

use verify::check::{CheckId, Outcome};
use verify::load::bundle::SOURCE;

use crate::fixture::Release;
use crate::fixture::release::said;

const SBOM: &str = "sbom/tool.cdx.json";

fn fails(release: &Release) -> String {
    let outcome = release.outcome(CheckId::Sbom);
    assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
    said(&outcome)
}

#[test]
fn sbom_of_this_binary_pass() {
    assert!(matches!(
        Release::good().outcome(CheckId::Sbom),
        Outcome::Pass { .. }
    ));
}

#[test]
fn package_that_the_sbom_hides_or_names_in_another_version_fail() {
    let release = Release::good();
    let text = String::from_utf8(release.read(SBOM)).unwrap();
    release.write(SBOM, text.replace("leaf", "loaf").as_bytes());
    assert!(fails(&release).contains("`leaf 1.0.0` is in the binary and not in the SBOM"));
    release.write(SBOM, text.replace("1.0.0", "1.0.1").as_bytes());
    assert!(fails(&release).contains("`leaf` is 1.0.0 in the binary and 1.0.1 in the SBOM"));
}

#[test]
fn binary_with_a_package_that_the_lock_file_has_not_fail() {
    let release = Release::good();
    let text = r#"{"packages":[{"name":"leaf","version":"1.0.0","source":"crates.io"},{"name":"extra","version":"2.0.0","source":"crates.io"},
        {"name":"tool","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}]}"#;
    release.write("bin/tool", &release.binary(text));
    let said = fails(&release);
    assert!(
        said.contains("`extra 2.0.0` is in the binary and not in Cargo.lock"),
        "{said}"
    );
}

#[test]
fn binary_that_does_not_say_what_is_in_it_and_sbom_that_is_none_fail() {
    let release = Release::good();
    release.write(SBOM, b"{}");
    assert!(fails(&release).contains("`sbom/tool.cdx.json`"));
    release.write("bin/tool", &std::fs::read("/bin/true").unwrap());
    assert!(fails(&release).contains("does not say what is in it"));
}

#[test]
fn agreeing_sbom_without_a_verified_lock_file_undecided() {
    let release = Release::good();
    release.write(SOURCE, b"");
    assert!(matches!(
        release.outcome(CheckId::Sbom),
        Outcome::Undecided { .. }
    ));
}
