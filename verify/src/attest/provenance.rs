//! SLSA provenance: from which commit and inputs, by which recipe and builder, artifacts came.
//!
//! SLSA 1.0, `provenance/v1`, with one `buildType`: the hermetic build of [`crate::rebuild`]. It
//! holds no time and no run's id, so that a second release of one tag gives the same bytes.
//!
//! **Build type** [`BUILD_TYPE`]: the recipe of the workspace (`build.sh` under `release.toml`'s
//! `build.recipe`) runs in a root made of nothing but `resolvedDependencies`, on the source at the
//! commit. `externalParameters` has `tag`, `commit`, `packages` (sorted) and nothing else;
//! `internalParameters` has `engine`, `sourceDateEpoch` (seconds) and `target` (a triple).
//!
//! **Builder** [`Builder::workstation`]: an engineer's own machine, told apart by the key that
//! signs. It is SLSA Build L1 and no more: whoever controls the machine controls the provenance.
//! The trust that L2 and L3 put into a build platform comes from rebuilding instead.

use std::collections::BTreeMap;

use gix::ObjectId;
use sbom::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use super::statement::{Statement, StatementError};
use crate::rebuild::pins::ListedInput;

/// `predicateType` of the provenance.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// `buildType` of the hermetic build; its meaning is this module's text.
pub const BUILD_TYPE: &str = "urn:hallmark:build:hermetic:v1";

const WORKSTATION: &str = "urn:hallmark:builder:workstation:slsa-build-l1:openpgp:";
const SOURCE: &str = "source";

/// Where artifacts came from. Well-formed by construction; true only as far as its signer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Name of the tag.
    pub tag: String,
    /// The signed tag object.
    pub tag_object: ObjectId,
    /// The commit that was built.
    pub commit: ObjectId,
    /// The Cargo packages that were built, sorted.
    pub packages: Vec<String>,
    /// Which engine ran the recipe.
    pub engine: String,
    /// `SOURCE_DATE_EPOCH` that the recipe is given: the commit's time in seconds since 1970.
    pub source_date_epoch: i64,
    /// The target's triple.
    pub target: String,
    /// Every pinned input, in the order of the inputs file.
    pub inputs: Vec<Input>,
    /// Who ran it.
    pub builder: Builder,
    /// What else the run made: the second build's artifacts, and documents of the bundle, by name.
    pub byproducts: BTreeMap<String, Sha256Digest>,
}

/// Begins the name of a byproduct that is a binary of the second build:
/// `second-build/<engine>/<binary>`.
pub const SECOND_BUILD: &str = "second-build/";

/// One pinned input of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Kind, name and version, such as `debian/gcc-12@12.2.0-14`.
    pub name: String,
    /// Where it can be had; `None` where only the digest identifies it.
    pub uri: Option<String>,
    /// Digest of the file, or for an unpacked tree of its NAR.
    pub sha256: Sha256Digest,
}

impl From<&ListedInput> for Input {
    /// Named `KIND/NAME` or `KIND/NAME@VERSION`: the same name may stand for several kinds.
    fn from(pin: &ListedInput) -> Self {
        let mut name = format!("{}/{}", pin.kind, pin.name);
        if !pin.version.is_empty() {
            name.push_str(&format!("@{}", pin.version));
        }
        Self {
            name,
            uri: pin.url.clone(),
            sha256: pin.sha256,
        }
    }
}

/// Who ran a build: the `builder.id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Builder(String);

/// Why a statement is not the provenance of a hermetic build.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    /// The statement is about something else.
    #[error("its `predicateType` is `{0}`, not `{PREDICATE_TYPE}`")]
    OtherPredicate(String),
    /// Another kind of build, whose parameters have another meaning.
    #[error("its `buildType` is `{0}`, not `{BUILD_TYPE}`")]
    OtherBuild(String),
    /// A field is missing, unknown or of the wrong kind.
    #[error("its predicate does not have the shape of this build type")]
    Syntax(#[from] serde_json::Error),
    /// No dependency is the source with the tag's and commit's ids.
    #[error("its `resolvedDependencies` hold no `{SOURCE}` with `gitTag` and `gitCommit`")]
    NoSource,
    /// The parameter and the resolved dependency name different commits.
    #[error("it was asked for the commit `{asked}` and built `{built}`")]
    CommitsDiffer {
        /// In `externalParameters`.
        asked: ObjectId,
        /// In `resolvedDependencies`.
        built: ObjectId,
    },
    /// An input or byproduct without a digest, or named twice.
    #[error("its `{0}` has no SHA-256 digest, or is named twice")]
    Input(String),
    /// The source's dependency or the commit parameter is not a git object id.
    #[error("`{0}` is not the id of a git object")]
    ObjectId(String),
    /// The builder does not say who it is.
    #[error("its `builder.id` is empty")]
    NoBuilder,
}

impl Builder {
    /// An engineer's machine (SLSA Build L1), told apart by the OpenPGP fingerprint that signs.
    #[must_use]
    pub fn workstation(fingerprint: &str) -> Self {
        Self(format!("{WORKSTATION}{}", fingerprint.to_ascii_lowercase()))
    }

    /// The `builder.id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The highest SLSA build level that the id itself claims: 1 for a workstation, `None` for a
    /// builder of another kind, which the auditor must know by other means.
    #[must_use]
    pub fn claimed_level(&self) -> Option<u8> {
        self.0.starts_with(WORKSTATION).then_some(1)
    }
}

impl Provenance {
    /// The statement that says this about these artifacts, by path in the bundle.
    ///
    /// # Errors
    /// [`StatementError::NoSubject`] where there is no artifact.
    pub fn statement(
        &self,
        artifacts: BTreeMap<String, Sha256Digest>,
    ) -> Result<Statement, StatementError> {
        let predicate = serde_json::to_value(self.raw())?;
        Statement::new(artifacts, PREDICATE_TYPE, predicate)
    }

    /// Reads the predicate of a statement.
    ///
    /// # Errors
    /// The first [`ProvenanceError`] that is met.
    pub fn read(statement: &Statement) -> Result<Self, ProvenanceError> {
        if statement.predicate_type() != PREDICATE_TYPE {
            return Err(ProvenanceError::OtherPredicate(
                statement.predicate_type().to_owned(),
            ));
        }
        let kind = &statement.predicate()["buildDefinition"]["buildType"];
        if let Some(other) = kind.as_str().filter(|kind| *kind != BUILD_TYPE) {
            return Err(ProvenanceError::OtherBuild(other.to_owned()));
        }
        Self::from_raw(RawPredicate::deserialize(statement.predicate())?)
    }

    fn raw(&self) -> RawPredicate {
        let git = BTreeMap::from([
            ("gitTag".to_owned(), self.tag_object.to_string()),
            ("gitCommit".to_owned(), self.commit.to_string()),
        ]);
        let source = RawResource::new(SOURCE.to_owned(), None, git);
        let inputs = self.inputs.iter().map(|input| {
            RawResource::new(input.name.clone(), input.uri.clone(), sha256(&input.sha256))
        });
        RawPredicate {
            build_definition: RawDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: RawExternal {
                    tag: self.tag.clone(),
                    commit: self.commit.to_string(),
                    packages: self.packages.clone(),
                },
                internal_parameters: RawInternal {
                    engine: self.engine.clone(),
                    source_date_epoch: self.source_date_epoch,
                    target: self.target.clone(),
                },
                resolved_dependencies: std::iter::once(source).chain(inputs).collect(),
            },
            run_details: RawRun {
                builder: RawBuilder {
                    id: self.builder.0.clone(),
                },
                byproducts: self
                    .byproducts
                    .iter()
                    .map(|(name, digest)| RawResource::new(name.clone(), None, sha256(digest)))
                    .collect(),
            },
        }
    }

    fn from_raw(raw: RawPredicate) -> Result<Self, ProvenanceError> {
        let RawDefinition {
            external_parameters: asked,
            internal_parameters: inner,
            resolved_dependencies,
            ..
        } = raw.build_definition;
        let (source, rest): (Vec<_>, Vec<_>) = resolved_dependencies
            .into_iter()
            .partition(|dependency| dependency.name == SOURCE);
        let [source] = source.as_slice() else {
            return Err(ProvenanceError::NoSource);
        };
        let git = |kind| source.digest.get(kind).ok_or(ProvenanceError::NoSource);
        let tag_object = object_id(git("gitTag")?)?;
        let built = object_id(git("gitCommit")?)?;
        let commit = object_id(&asked.commit)?;
        if commit != built {
            return Err(ProvenanceError::CommitsDiffer {
                asked: commit,
                built,
            });
        }
        if raw.run_details.builder.id.is_empty() {
            return Err(ProvenanceError::NoBuilder);
        }
        Ok(Self {
            tag: asked.tag,
            tag_object,
            commit,
            packages: asked.packages,
            engine: inner.engine,
            source_date_epoch: inner.source_date_epoch,
            target: inner.target,
            inputs: inputs(rest)?,
            builder: Builder(raw.run_details.builder.id),
            byproducts: byproducts(raw.run_details.byproducts)?,
        })
    }
}

fn inputs(raw: Vec<RawResource>) -> Result<Vec<Input>, ProvenanceError> {
    let mut inputs: Vec<Input> = Vec::new();
    for resource in raw {
        let digest = resource.sha256();
        let twice = inputs.iter().any(|known| known.name == resource.name);
        let Some(sha256) = digest.filter(|_| !twice) else {
            return Err(ProvenanceError::Input(resource.name));
        };
        inputs.push(Input {
            name: resource.name,
            uri: resource.uri,
            sha256,
        });
    }
    Ok(inputs)
}

fn byproducts(raw: Vec<RawResource>) -> Result<BTreeMap<String, Sha256Digest>, ProvenanceError> {
    let mut byproducts = BTreeMap::new();
    for resource in raw {
        let Some(digest) = resource.sha256() else {
            return Err(ProvenanceError::Input(resource.name));
        };
        if byproducts.insert(resource.name.clone(), digest).is_some() {
            return Err(ProvenanceError::Input(resource.name));
        }
    }
    Ok(byproducts)
}

fn object_id(text: &str) -> Result<ObjectId, ProvenanceError> {
    let lower = text
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ObjectId::from_hex(text.as_bytes())
        .ok()
        .filter(|_| lower)
        .ok_or_else(|| ProvenanceError::ObjectId(text.to_owned()))
}

fn sha256(digest: &Sha256Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.to_string())])
}

/// SLSA wants unknown fields ignored, but those of `externalParameters` refused.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPredicate {
    build_definition: RawDefinition,
    run_details: RawRun,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDefinition {
    build_type: String,
    external_parameters: RawExternal,
    internal_parameters: RawInternal,
    resolved_dependencies: Vec<RawResource>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExternal {
    tag: String,
    commit: String,
    packages: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawInternal {
    engine: String,
    source_date_epoch: i64,
    target: String,
}

#[derive(Serialize, Deserialize)]
struct RawRun {
    builder: RawBuilder,
    #[serde(default)]
    byproducts: Vec<RawResource>,
}

#[derive(Serialize, Deserialize)]
struct RawBuilder {
    id: String,
}

#[derive(Serialize, Deserialize)]
struct RawResource {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: BTreeMap<String, String>,
}

impl RawResource {
    fn new(name: String, uri: Option<String>, digest: BTreeMap<String, String>) -> Self {
        Self { name, uri, digest }
    }

    fn sha256(&self) -> Option<Sha256Digest> {
        self.digest.get("sha256")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            tag: "v1.0.0".to_owned(),
            tag_object: ObjectId::from_hex(&[b'a'; 40]).unwrap(),
            commit: ObjectId::from_hex(&[b'b'; 40]).unwrap(),
            packages: vec!["tool".to_owned()],
            engine: "nix".to_owned(),
            source_date_epoch: 1_700_000_000,
            target: "x86_64-unknown-linux-gnu".to_owned(),
            inputs: vec![Input {
                name: "debian/gcc-12@12.2.0-14".to_owned(),
                uri: None,
                sha256: Sha256Digest::of(b"gcc"),
            }],
            builder: Builder::workstation("ABCD"),
            byproducts: BTreeMap::from([("second".to_owned(), Sha256Digest::of(b"x"))]),
        }
    }

    fn written() -> Value {
        let artifacts = BTreeMap::from([("bin/tool".to_owned(), Sha256Digest::of(b"x"))]);
        let statement = provenance().statement(artifacts).unwrap();
        serde_json::from_slice(&statement.to_bytes()).unwrap()
    }

    fn read(statement: &Value) -> Result<Provenance, ProvenanceError> {
        Provenance::read(&Statement::read(statement.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(read(&written()).unwrap(), provenance());
    }

    #[test]
    fn a_workstation_says_that_it_is_no_more_than_level_1() {
        let builder = provenance().builder;
        assert_eq!(builder.claimed_level(), Some(1));
        assert!(builder.id().contains("slsa-build-l1"));
    }

    #[test]
    fn what_is_not_provenance_of_this_build_type_is_refused() {
        let refused = |pointer: &str, value: Value| {
            let mut statement = written();
            *statement.pointer_mut(pointer).unwrap() = value;
            read(&statement).unwrap_err()
        };
        assert!(matches!(
            refused("/predicateType", json!("https://slsa.dev/provenance/v0.2")),
            ProvenanceError::OtherPredicate(_)
        ));
        assert!(matches!(
            refused("/predicate/buildDefinition/buildType", json!("other")),
            ProvenanceError::OtherBuild(_)
        ));
        assert!(matches!(
            refused(
                "/predicate/buildDefinition/externalParameters/commit",
                json!("c".repeat(40))
            ),
            ProvenanceError::CommitsDiffer { .. }
        ));
        assert!(matches!(
            refused(
                "/predicate/buildDefinition/resolvedDependencies/0/name",
                json!("x")
            ),
            ProvenanceError::NoSource
        ));
        assert!(matches!(
            refused("/predicate/buildDefinition/resolvedDependencies/1/digest", json!({})),
            ProvenanceError::Input(name) if name.starts_with("debian/gcc-12")
        ));
        assert!(matches!(
            refused("/predicate/runDetails/builder/id", json!("")),
            ProvenanceError::NoBuilder
        ));
    }

    #[test]
    fn an_unknown_external_parameter_is_refused() {
        let mut statement = written();
        statement["predicate"]["buildDefinition"]["externalParameters"]["x"] = json!(1);
        assert!(matches!(read(&statement), Err(ProvenanceError::Syntax(_))));
    }
}
