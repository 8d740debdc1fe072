//! What a crate says of itself in its `Cargo.toml`: licence, authors, where it lives.

use serde::Deserialize;

use crate::model::package::Package;

/// The part of a `Cargo.toml` that an SBOM repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Licence as an SPDX expression; `None` where the manifest has none or one that is not SPDX.
    pub licence: Option<String>,
    /// Name of the licence file, where the manifest names one.
    pub licence_file: Option<String>,
    /// `authors`, as written.
    pub authors: Vec<String>,
    /// One line on what it is.
    pub description: Option<String>,
    /// Address of the source repository.
    pub repository: Option<String>,
    /// Address of the home page.
    pub homepage: Option<String>,
}

impl Manifest {
    /// Finds and reads the manifest of `package`. `files` is asked for `<name>-<version>/Cargo.toml`,
    /// then `<name>/Cargo.toml` (the two ways in which `cargo vendor` names folders), and for
    /// `Cargo.toml` where a value is inherited from the workspace. A manifest of another version is
    /// not taken. `None` when there is none that can be read.
    pub fn of(package: &Package, files: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<Self> {
        let raw = crate_folders(package).into_iter().find_map(|folder| {
            let raw = read(files(&format!("{folder}/Cargo.toml"))?)?;
            let own = raw.package.as_ref()?;
            let same = match &own.version {
                Some(Field::Own(version)) => *version == package.version().to_string(),
                Some(Field::Inherited { .. }) => true,
                None => false,
            };
            (same && own.name == package.name()).then_some(raw)
        })?;
        let own = raw.package?;
        let needs_workspace = [
            &own.license,
            &own.license_file,
            &own.description,
            &own.repository,
            &own.homepage,
        ]
        .into_iter()
        .any(|field| matches!(field, Some(Field::Inherited { .. })))
            || matches!(own.authors, Some(Field::Inherited { .. }));
        let workspace = match raw.workspace {
            Some(workspace) => workspace.package,
            None if needs_workspace => files("Cargo.toml")
                .and_then(read)
                .and_then(|root| root.workspace)
                .and_then(|w| w.package),
            None => None,
        }
        .unwrap_or_default();
        let licence = resolve(own.license, workspace.license);
        Some(Self {
            licence: licence.as_deref().and_then(spdx_expression),
            licence_file: resolve(own.license_file, workspace.license_file),
            authors: resolve(own.authors, workspace.authors).unwrap_or_default(),
            description: resolve(own.description, workspace.description),
            repository: resolve(own.repository, workspace.repository),
            homepage: resolve(own.homepage, workspace.homepage),
        })
    }

    /// First e-mail address among the authors.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        self.authors.iter().find_map(|author| {
            let (_, rest) = author.split_once('<')?;
            let (email, _) = rest.split_once('>')?;
            let email = email.trim();
            let (local, domain) = email.split_once('@')?;
            (!local.is_empty() && domain.contains('.') && !email.contains(char::is_whitespace))
                .then_some(email)
        })
    }
}

/// The folders in which `cargo vendor` may have put a crate.
pub(crate) fn crate_folders(package: &Package) -> [String; 2] {
    [
        format!("{}-{}", package.name(), package.version()),
        package.name().to_owned(),
    ]
}

/// A licence text as a valid SPDX expression. Cargo once allowed `/` for `OR`; such a text is
/// rewritten. `None` where it is no expression even then.
fn spdx_expression(text: &str) -> Option<String> {
    let modern = text
        .replace('/', " OR ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    spdx::Expression::parse(&modern).ok().map(|_| modern)
}

fn read(bytes: Vec<u8>) -> Option<RawManifest> {
    toml::from_str(&String::from_utf8(bytes).ok()?).ok()
}

fn resolve<T>(own: Option<Field<T>>, workspace: Option<T>) -> Option<T> {
    match own? {
        Field::Own(value) => Some(value),
        Field::Inherited { workspace: true } => workspace,
        Field::Inherited { workspace: false } => None,
    }
}

#[derive(Deserialize)]
struct RawManifest {
    package: Option<RawPackage>,
    workspace: Option<RawWorkspace>,
}

#[derive(Deserialize)]
struct RawWorkspace {
    package: Option<RawShared>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct RawShared {
    license: Option<String>,
    license_file: Option<String>,
    authors: Option<Vec<String>>,
    description: Option<String>,
    repository: Option<String>,
    homepage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawPackage {
    name: String,
    version: Option<Field<String>>,
    license: Option<Field<String>>,
    license_file: Option<Field<String>>,
    authors: Option<Field<Vec<String>>>,
    description: Option<Field<String>>,
    repository: Option<Field<String>>,
    homepage: Option<Field<String>>,
}

/// `field = value` or `field.workspace = true`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field<T> {
    Own(T),
    Inherited { workspace: bool },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::package::{PackageId, Source};

    fn package(name: &str, version: &str) -> Package {
        Package {
            id: PackageId {
                name: name.into(),
                version: version.parse().unwrap(),
            },
            source: Source::CratesIo,
            checksum: None,
            kind: None,
            root: false,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn old_slashes_become_or_and_an_email_is_found() {
        let text = b"[package]\nname='a'\nversion='1.0.0'\nlicense='MIT/Apache-2.0'\nauthors=['Nobody','A B <a@b.org>']\n";
        let manifest = Manifest::of(&package("a", "1.0.0"), &|p| {
            (p == "a-1.0.0/Cargo.toml").then(|| text.to_vec())
        })
        .unwrap();
        assert_eq!(manifest.licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(manifest.contact(), Some("a@b.org"));
    }

    #[test]
    fn a_folder_with_another_version_is_not_taken() {
        let text = b"[package]\nname='a'\nversion='2.0.0'\nlicense='MIT'\n";
        let files = |p: &str| (p == "a/Cargo.toml").then(|| text.to_vec());
        assert_eq!(Manifest::of(&package("a", "1.0.0"), &files), None);
        assert!(Manifest::of(&package("a", "2.0.0"), &files).is_some());
    }

    #[test]
    fn values_of_the_workspace_are_inherited_and_rubbish_is_no_licence() {
        let own = b"[package]\nname='a'\nversion.workspace=true\nlicense.workspace=true\n";
        let root = b"[workspace]\n[workspace.package]\nlicense='Apache-2.0 OR MIT'\n";
        let files = |p: &str| match p {
            "a/Cargo.toml" => Some(own.to_vec()),
            "Cargo.toml" => Some(root.to_vec()),
            _ => None,
        };
        let manifest = Manifest::of(&package("a", "1.0.0"), &files).unwrap();
        assert_eq!(manifest.licence.as_deref(), Some("Apache-2.0 OR MIT"));
        assert_eq!(spdx_expression("see LICENSE"), None);
    }
}
