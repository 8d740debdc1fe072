//! Which programs are measured, with which arguments, and how each shows that it did its work.

use std::path::Path;

use verify::load::bundle::{MANIFEST, MANIFEST_SIGNATURE};

use super::released::Released;
use crate::bench::measure::Subject;
use crate::cli::Peer;
use crate::peers;

/// Ours first, then the others' for the same question.
pub(super) fn all(released: &Released) -> anyhow::Result<Vec<Subject>> {
    let verify = text(&released.verify);
    let tool = |peer: Peer, name: &str| -> anyhow::Result<String> {
        Ok(text(&peers::installed(peer)?.join("bin").join(name)))
    };
    let (audit, cyclonedx, audit_info) = (
        tool(Peer::CargoAudit, "cargo-audit")?,
        tool(Peer::CargoCyclonedx, "cargo-cyclonedx")?,
        tool(Peer::RustAuditInfo, "rust-audit-info")?,
    );
    let keyring = text(&released.keyring);
    let policy = text(&released.policy());
    let database = text(&released.database);
    let lock = text(&released.lock());
    let manifest = text(&released.bundle.join(MANIFEST));
    let signature = text(&released.bundle.join(MANIFEST_SIGNATURE));
    let (binary, sbom) = (text(&released.binary), text(&released.sbom));
    let (bundle, workspace) = (text(&released.bundle), text(&released.workspace));
    let subject = |question, name, words: &[&str], ends_with, says| Subject {
        question,
        name,
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        folder: released.bundle.clone(),
        variables: vec![
            ("GNUPGHOME", text(&released.gnupg())),
            ("CARGO_NET_OFFLINE", "true".to_owned()),
        ],
        ends_with,
        says,
    };
    // A finding is an answer too; exit code 2 is none.
    let answered: &[i32] = &[0, 1];
    Ok(vec![
        subject(
            "nothing (start-up)",
            "verify --version",
            &[&verify, "--version"],
            &[0],
            "verify ",
        ),
        subject(
            "all but the rebuild",
            "verify release",
            &[
                &verify,
                "release",
                &bundle,
                "--keyring",
                &keyring,
                "--policy",
                &policy,
                "--advisory-db",
                &database,
            ],
            answered,
            "advisories",
        ),
        subject(
            "tag",
            "verify tag",
            &[
                &verify,
                "tag",
                &workspace,
                &released.tag,
                "--keyring",
                &keyring,
            ],
            &[0],
            "",
        ),
        subject(
            "tag",
            "git verify-tag",
            &["git", "-C", &workspace, "verify-tag", &released.tag],
            &[0],
            "Good signature",
        ),
        subject(
            "checksums",
            "sha256sum -c",
            &["sha256sum", "-c", &manifest],
            &[0],
            "source.bundle: OK",
        ),
        subject(
            "signature",
            "verify signature",
            &[
                &verify,
                "signature",
                &manifest,
                &signature,
                "--keyring",
                &keyring,
            ],
            &[0],
            "",
        ),
        subject(
            "signature",
            "gpg --verify",
            &["gpg", "--batch", "--verify", &signature, &manifest],
            &[0],
            "Good signature",
        ),
        subject(
            "SBOM against the binary",
            "verify sbom",
            &[&verify, "sbom", &binary, &sbom],
            answered,
            "",
        ),
        subject(
            "list in the binary",
            "rust-audit-info",
            &[&audit_info, &binary],
            &[0],
            "\"packages\"",
        ),
        Subject {
            folder: released.checkout(),
            ..subject(
                "SBOM of the workspace",
                "cargo cyclonedx",
                &[&cyclonedx, "cyclonedx", "--format", "json"],
                &[0],
                "",
            )
        },
        subject(
            "advisories",
            "verify advisories",
            &[
                &verify,
                "advisories",
                &lock,
                "--policy",
                &policy,
                "--db",
                &database,
            ],
            answered,
            "advisories",
        ),
        subject(
            "advisories",
            "cargo audit",
            &[
                &audit,
                "audit",
                "--no-fetch",
                "--stale",
                "--file",
                &lock,
                "--db",
                &database,
            ],
            answered,
            "for vulnerabilities",
        ),
    ])
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
