//! The properties of BSI TR-03183-2 v2.1.0 (sections 5.2.2 and 5.2.5), in the spelling of the BSI's
//! property taxonomy for CycloneDX.

use cyclonedx_bom::models::property::Property;

/// The kinds of components that the guideline tells apart, as far as they occur in a Rust binary.
pub(super) enum Form<'a> {
    /// A program with libraries linked into it, that cannot be taken apart again.
    Program {
        /// Name of the file.
        filename: &'a str,
    },
    /// A packed crate.
    Crate {
        /// Name of the `.crate` file.
        filename: String,
    },
    /// Sources that were compiled in and are no file of their own (a logical component).
    Sources,
}

/// The properties that every component must have exactly once.
pub(super) fn properties(form: &Form<'_>, licence: Option<&str>) -> Vec<Property> {
    let (filename, executable, archive, structured) = match form {
        Form::Program { filename } => (Some(*filename), "executable", "archive", "unstructured"),
        Form::Crate { filename } => (
            Some(filename.as_str()),
            "non-executable",
            "archive",
            "structured",
        ),
        Form::Sources => (None, "non-executable", "no archive", "structured"),
    };
    let mut properties: Vec<Property> = filename
        .into_iter()
        .map(|filename| Property::new("bsi:component:filename", filename))
        .collect();
    properties.push(Property::new("bsi:component:executable", executable));
    properties.push(Property::new("bsi:component:archive", archive));
    properties.push(Property::new("bsi:component:structured", structured));
    // Which side of an `OR` is used is a decision that nobody has recorded; without a choice the
    // licence in effect is the only one there is.
    if let Some(licence) = licence.filter(|text| !text.contains(" OR ")) {
        properties.push(Property::new("bsi:component:effectiveLicence", licence));
    }
    properties
}
