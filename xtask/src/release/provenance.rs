//! Step 6: where the binaries came from, signed. In: [`Sboms`]. Out: a [`SignedStatement`].

use std::collections::BTreeMap;

use anyhow::Context as _;
use sbom::digest::Sha256Digest;
use verify::attest::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE, Signature, pae};
use verify::attest::provenance::{Builder, Input, Provenance, SECOND_BUILD};
use verify::load::bundle::{ADVISORIES, VEX, binary_path, sbom_path};
use verify::rebuild::BuildOutput;

use super::attestation_key::AttestationKey;
use super::gnupg::Signer;
use super::plan::Plan;
use super::sbom::Sboms;

/// The provenance in a signed envelope. Only [`sign`] makes one.
#[derive(Debug)]
pub(crate) struct SignedStatement {
    sboms: Sboms,
    envelope: Envelope,
}

impl SignedStatement {
    /// The step before.
    pub(crate) fn sboms(&self) -> &Sboms {
        &self.sboms
    }

    /// The envelope.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

/// States where the binaries came from, and signs it.
pub(crate) fn sign(
    plan: &Plan,
    sboms: Sboms,
    signer: &mut Signer,
    attestation_key: Option<&AttestationKey>,
) -> anyhow::Result<SignedStatement> {
    let build = sboms.build();
    let tag = build.report().checkout().tag();
    let first = build.first();
    let provenance = Provenance {
        tag: tag.verified().name().to_string(),
        tag_object: tag.verified().id(),
        commit: tag.verified().commit(),
        packages: plan
            .release
            .packages()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        engine: first.engine.name().to_owned(),
        source_date_epoch: tag.commit().time_s,
        target: plan.release.target().triple().to_owned(),
        inputs: first.pins.listed().iter().map(Input::from).collect(),
        builder: Builder::workstation(signer.fingerprint().as_str()),
        byproducts: byproducts(&sboms)?,
    };
    let payload = provenance
        .statement(
            digests(first)
                .map(|(name, digest)| (binary_path(name), digest))
                .collect(),
        )
        .context("stating the provenance")?
        .to_bytes();
    let signed = pae(IN_TOTO_PAYLOAD_TYPE, &payload);
    let mut signatures = vec![Signature {
        keyid: signer.fingerprint().to_string(),
        sig: signer.binary(&signed)?,
    }];
    signatures.extend(attestation_key.map(|key| key.sign(&signed)));
    let envelope = Envelope::new(IN_TOTO_PAYLOAD_TYPE, payload, signatures);
    Ok(SignedStatement { sboms, envelope })
}

fn digests(build: &BuildOutput) -> impl Iterator<Item = (&str, Sha256Digest)> {
    build
        .binaries
        .iter()
        .map(|(name, binary)| (name.as_str(), binary.digest))
}

/// What the second build made, and the documents about what is inside.
fn byproducts(sboms: &Sboms) -> anyhow::Result<BTreeMap<String, Sha256Digest>> {
    let second = sboms.build().second();
    let engine = second.engine.name();
    let report = sboms.build().report().document();
    let documents = [(ADVISORIES, report), (VEX, sboms.vex()?)];
    Ok(digests(second)
        .map(|(name, digest)| (format!("{SECOND_BUILD}{engine}/{name}"), digest))
        .chain(documents.map(|(name, bytes)| (name.to_owned(), Sha256Digest::of(&bytes))))
        .chain(
            sboms
                .documents()
                .iter()
                .map(|(name, document)| (sbom_path(name), Sha256Digest::of(document))),
        )
        .collect())
}
