//! What a run of the checks looks at: the bundle, the keys, the policy, the time, and the two facts
//! that several checks build on, established once: the source and its verified tag.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::attest::dsse;
use crate::attest::provenance::Provenance;
use crate::attest::statement::Statement;
use crate::check::{Evidence, Outcome, with_causes};
use crate::git::Repository;
use crate::load::bundle::{LoadedBundle, MANIFEST, MANIFEST_SIGNATURE, PROVENANCE, SOURCE};
use crate::load::policy::{Policy, Role};
use crate::manifest::Manifest;
use crate::plan::ReleasePlan;
use crate::rebuild::{Engine, progress::Progress};
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::{
    SignatureRefusal, SignatureRules, VerifiedSignature, verify_detached_canonical,
};
use crate::trust::tag::{TagName, TagRefusal, VerifiedTag, verify_tag};

/// What the auditor gives.
pub struct Request<'a> {
    /// The bundle, as it was loaded.
    pub bundle: LoadedBundle,
    /// Whom the auditor trusts.
    pub keyring: Keyring,
    /// What the auditor asks for.
    pub policy: Policy,
    /// The time at which everything is judged.
    pub now: SystemTime,
    /// The tag that the auditor expects; `None` takes the one that the bundle states.
    pub expected_tag: Option<TagName>,
    /// The advisory database's folder, where there is one.
    pub advisory_db: Option<PathBuf>,
    /// How to rebuild; `None` does not.
    pub rebuild: Option<RebuildOptions<'a>>,
}

/// How to rebuild.
#[derive(Clone, Copy)]
pub struct RebuildOptions<'a> {
    /// What runs the recipe.
    pub engine: Engine,
    /// Folder that keeps inputs and compiled dependencies between builds.
    pub cache: &'a std::path::Path,
    /// Where the steps are announced.
    pub progress: &'a dyn Progress,
    /// Folder that receives what was built, as `bin/<name>`; `None` keeps nothing.
    pub out: Option<&'a std::path::Path>,
}

/// Why there is no verified tag.
#[derive(Debug)]
pub enum NoTag {
    /// The tag was looked at and is refused.
    Refused(TagRefusal),
    /// It is another tag than the auditor expects.
    Unexpected {
        /// What the auditor expects.
        expected: TagName,
        /// What the bundle states.
        stated: String,
    },
    /// The source cannot be read, or states no tag.
    Unreadable(String),
}

impl std::fmt::Display for NoTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unexpected { expected, stated } => {
                write!(
                    f,
                    "the release is of the tag `{stated}`, not of `{expected}` as expected"
                )
            }
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// What the signatures over the list of checksums say.
type ReleaseSignatures = Result<Vec<VerifiedSignature>, SignatureRefusal>;

/// A request with its source opened and its tag checked.
pub struct Case<'a> {
    request: Request<'a>,
    source: Result<Repository, String>,
    tag: Result<VerifiedTag, NoTag>,
    taken_by_policy: Option<TagRefusal>,
    release_signatures: Option<ReleaseSignatures>,
}

impl<'a> Case<'a> {
    /// Opens the source and checks the tag. What goes wrong is kept for the checks to report.
    #[must_use]
    pub fn open(request: Request<'a>) -> Self {
        let source = open_source(&request);
        let (tag, taken_by_policy) = match &source {
            Ok(repository) => match find_tag(&request, repository) {
                Ok((tag, taken_by_policy)) => (Ok(tag), taken_by_policy),
                Err(why) => (Err(why), None),
            },
            Err(why) => (Err(NoTag::Unreadable(why.clone())), None),
        };
        let release_signatures = release_signatures(&request);
        Self {
            request,
            source,
            tag,
            taken_by_policy,
            release_signatures,
        }
    }

    /// What the signatures over the list of checksums say; `None` where one of the two is missing.
    #[must_use]
    pub fn release_signatures(&self) -> Option<&ReleaseSignatures> {
        self.release_signatures.as_ref()
    }

    /// When it was released, as the first key that may sign releases says; `None` where none has
    /// signed.
    #[must_use]
    pub fn released_at(&self) -> Option<SystemTime> {
        let authorised = self.request.policy.authorised(Role::Release);
        self.release_signatures
            .as_ref()?
            .as_ref()
            .ok()?
            .iter()
            .filter(|signature| authorised.holds(signature.certificate()))
            .map(VerifiedSignature::made)
            .min()
    }

    /// Whether the keys that may sign releases vouch for this file, as it is in the bundle: as many as
    /// the policy wants signed the list, and the list has it with this digest.
    #[must_use]
    pub fn vouched_for(&self, path: &str) -> bool {
        let authorised = self.request.policy.authorised(Role::Release);
        let Some(Ok(signatures)) = &self.release_signatures else {
            return false;
        };
        let keys: BTreeSet<_> = signatures
            .iter()
            .map(VerifiedSignature::certificate)
            .filter(|certificate| authorised.holds(certificate))
            .collect();
        let listed = self
            .bundle()
            .bytes(MANIFEST)
            .and_then(|bytes| Manifest::parse(bytes).ok())
            .and_then(|manifest| manifest.files().get(&path.parse().ok()?).copied());
        keys.len() >= self.request.policy.threshold(Role::Release)
            && listed.is_some()
            && listed == self.bundle().file(path).map(|file| file.digest)
    }

    /// Why the tag's key, which the policy takes, is out of force now; `None` where it is in force,
    /// or there is no tag.
    #[must_use]
    pub fn taken_by_policy(&self) -> Option<&TagRefusal> {
        self.taken_by_policy.as_ref()
    }

    /// What the auditor gave.
    #[must_use]
    pub fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &LoadedBundle {
        &self.request.bundle
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.request.policy
    }

    /// The tag, or why there is none.
    ///
    /// # Errors
    /// The reason.
    pub fn tag(&self) -> Result<&VerifiedTag, &NoTag> {
        self.tag.as_ref()
    }

    /// The source with its verified tag, for checks that hold something against it.
    ///
    /// # Errors
    /// The outcome of such a check where there is none: it is undecided.
    pub fn verified_source(&self) -> Result<(&Repository, &VerifiedTag), Box<Outcome>> {
        match (&self.source, &self.tag) {
            (Ok(repository), Ok(tag)) => Ok((repository, tag)),
            _ => Err(Box::new(
                Evidence::default().undecided("there is no verified tag to hold it against"),
            )),
        }
    }

    /// The release plan at the verified tag.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn plan(repository: &Repository, tag: &VerifiedTag) -> Result<ReleasePlan, String> {
        let bytes = repository
            .read_file(tag.commit(), crate::plan::FILE_NAME)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no `{}` at the tag", crate::plan::FILE_NAME))?;
        let text =
            String::from_utf8(bytes).map_err(|_| String::from("`release.toml` is not text"))?;
        ReleasePlan::parse(&text).map_err(|error| with_causes(&error))
    }
}

fn open_source(request: &Request<'_>) -> Result<Repository, String> {
    if request.bundle.file(SOURCE).is_none() {
        return Err(format!("`{SOURCE}` is missing"));
    }
    Repository::from_bundle(&request.bundle.root().join(SOURCE))
        .map_err(|error| with_causes(&error))
}

fn release_signatures(request: &Request<'_>) -> Option<ReleaseSignatures> {
    let signed = request.bundle.bytes(MANIFEST)?;
    let armored = request.bundle.bytes(MANIFEST_SIGNATURE)?;
    let rules = request.policy.signature_rules(request.now);
    Some(verify_detached_canonical(
        signed,
        armored,
        &request.keyring,
        &rules,
    ))
}

fn find_tag(
    request: &Request<'_>,
    repository: &Repository,
) -> Result<(VerifiedTag, Option<TagRefusal>), NoTag> {
    let name = stated_tag(request, repository)?;
    let tag = repository
        .tag(&name)
        .map_err(|error| NoTag::Unreadable(error.to_string()))?
        .map_err(NoTag::Refused)?;
    let rules = request.policy.signature_rules(request.now);
    let authorised = request.policy.authorised(Role::Tag);
    let judged =
        |rules: &SignatureRules| verify_tag(&tag, None, &request.keyring, &authorised, rules);
    let verified = judged(&rules).map_err(NoTag::Refused)?;
    let strict = rules
        .accept_expired_since(false)
        .accept_retired_since(false);
    let taken_by_policy = judged(&strict).err();
    Ok((verified, taken_by_policy))
}

/// The tag that the provenance states, else the only one in the source. A statement only: which
/// tag it is follows from its signature.
fn stated_tag(request: &Request<'_>, repository: &Repository) -> Result<TagName, NoTag> {
    let from_provenance = request.bundle.bytes(PROVENANCE).and_then(|bytes| {
        let envelopes = dsse::read_lines(bytes).ok()?;
        let read = |payload: &[u8]| Provenance::read(&Statement::read(payload).ok()?).ok();
        envelopes
            .iter()
            .find_map(|envelope| read(envelope.payload()))
            .map(|provenance| provenance.tag)
    });
    let stated = match from_provenance {
        Some(tag) => tag,
        None => only_tag(repository)?,
    };
    match &request.expected_tag {
        Some(expected) if expected.as_str() != stated => Err(NoTag::Unexpected {
            expected: expected.clone(),
            stated,
        }),
        _ => stated
            .parse()
            .map_err(|error: crate::trust::tag::InvalidTagName| {
                NoTag::Unreadable(error.to_string())
            }),
    }
}

fn only_tag(repository: &Repository) -> Result<String, NoTag> {
    let tags = repository
        .tags()
        .map_err(|error| NoTag::Unreadable(error.to_string()))?;
    let mut tags = tags.into_iter();
    match (tags.next(), tags.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(NoTag::Unreadable(String::from("the source holds no tag"))),
        _ => Err(NoTag::Unreadable(String::from(
            "the source holds several tags and no provenance says which is meant",
        ))),
    }
}
