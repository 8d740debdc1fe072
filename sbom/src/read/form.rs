//! Whether the parts of a document have the form that CycloneDX gives them: words that are in its
//! lists, digests of the right length, licences that are one thing and not two. A document that
//! breaks these rules is read differently by different tools, so it is not read here.
//!
//! It knows the rules that the official test documents try (CycloneDX 1.6, `bom-1.6.schema.json`),
//! not the whole schema. Of 1.7, whose lists are longer, only the rules that both share are asked.

use serde_json::Value;

/// A part that does not have the form that it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}` {what}")]
pub struct FormError {
    /// Where it stands, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub what: &'static str,
}

const COMPONENT_TYPES: [&str; 13] = [
    "application",
    "framework",
    "library",
    "container",
    "platform",
    "operating-system",
    "device",
    "device-driver",
    "firmware",
    "file",
    "machine-learning-model",
    "data",
    "cryptographic-asset",
];
const ISSUE_TYPES: [&str; 3] = ["defect", "enhancement", "security"];
const PATCH_TYPES: [&str; 4] = ["unofficial", "monkey", "backport", "cherry-pick"];
const FLOWS: [&str; 4] = ["inbound", "outbound", "bi-directional", "unknown"];

/// Hash algorithms and the number of hexadecimal digits of each.
const HASHES: [(&str, usize); 12] = [
    ("MD5", 32),
    ("SHA-1", 40),
    ("SHA-256", 64),
    ("SHA-384", 96),
    ("SHA-512", 128),
    ("SHA3-256", 64),
    ("SHA3-384", 96),
    ("SHA3-512", 128),
    ("BLAKE2b-256", 64),
    ("BLAKE2b-384", 96),
    ("BLAKE2b-512", 128),
    ("BLAKE3", 64),
];

/// Looks at every part of a document of this version.
///
/// # Errors
/// The first part that has another form.
pub(super) fn check(document: &Value, version: &str) -> Result<(), FormError> {
    let rules = Rules {
        closed_lists: version != "1.7",
    };
    if let Some(serial) = document.get("serialNumber") {
        let good = serial.as_str().is_some_and(|text| {
            text.strip_prefix("urn:uuid:")
                .is_some_and(|id| id.len() == 36 && uuid::Uuid::try_parse(id).is_ok())
        });
        rules.hold(good, "/serialNumber", "is not `urn:uuid:` and a UUID")?;
    }
    if let Some(at) = document.pointer("/metadata/timestamp") {
        let format = &time::format_description::well_known::Rfc3339;
        let good = at
            .as_str()
            .is_some_and(|text| time::OffsetDateTime::parse(text, format).is_ok());
        rules.hold(good, "/metadata/timestamp", "is not a time (RFC 3339)")?;
    }
    rules.walk(document, "", "")
}

struct Rules {
    /// Whether the lists of words are complete, as they are up to 1.6.
    closed_lists: bool,
}

impl Rules {
    fn hold(&self, good: bool, pointer: &str, what: &'static str) -> Result<(), FormError> {
        if good {
            return Ok(());
        }
        Err(FormError {
            pointer: pointer.to_owned(),
            what,
        })
    }

    fn one_of(&self, value: Option<&Value>, words: &[&str]) -> bool {
        match value.map(Value::as_str) {
            None => true,
            Some(Some(word)) => !self.closed_lists || words.contains(&word),
            Some(None) => false,
        }
    }

    /// `field` is the name under which a value stands; the elements of a list have their list's.
    fn walk(&self, value: &Value, field: &str, pointer: &str) -> Result<(), FormError> {
        match value {
            Value::Array(list) => {
                if field == "licenses" {
                    self.licences(list, pointer)?;
                }
                for (place, inner) in list.iter().enumerate() {
                    self.walk(inner, field, &format!("{pointer}/{place}"))?;
                }
                Ok(())
            }
            Value::Object(object) => {
                self.part(value, field, pointer)?;
                for (name, inner) in object {
                    let step = name.replace('~', "~0").replace('/', "~1");
                    self.walk(inner, name, &format!("{pointer}/{step}"))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn part(&self, value: &Value, field: &str, pointer: &str) -> Result<(), FormError> {
        let get = |name: &str| value.get(name);
        let text = |name: &str| get(name).and_then(Value::as_str);
        match field {
            // `component` also stands in places that are not of the type component.
            "components" | "component" | "ancestors" | "descendants" | "variants"
                if get("type").is_some() || field != "component" =>
            {
                self.hold(text("type").is_some(), pointer, "has no `type`")?;
                self.hold(
                    self.one_of(get("type"), &COMPONENT_TYPES),
                    pointer,
                    "has a `type` that is not in the list",
                )?;
                self.hold(text("name").is_some(), pointer, "has no `name`")?;
                let reference =
                    get("bom-ref").is_none_or(|r| r.as_str().is_some_and(|r| !r.is_empty()));
                self.hold(reference, pointer, "has an empty `bom-ref`")
            }
            "hashes" => {
                let digits = text("content").unwrap_or_default();
                let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let length = HASHES.iter().find(|(name, _)| Some(*name) == text("alg"));
                let good = match length {
                    Some((_, length)) => hex && digits.len() == *length,
                    None => hex && !self.closed_lists,
                };
                self.hold(good, pointer, "is not a digest of an algorithm in the list")
            }
            "license" => {
                let (id, name) = (text("id"), text("name"));
                self.hold(
                    id.is_some() != name.is_some(),
                    pointer,
                    "has not one of `id` and `name`",
                )?;
                let known =
                    id.is_none_or(|id| spdx::license_id(id).is_some_and(|found| found.name == id));
                self.hold(known, pointer, "has an `id` that is not one of SPDX")
            }
            "text" => self.hold(
                self.one_of(get("encoding"), &["base64"]),
                pointer,
                "has an `encoding` that is not base64",
            ),
            "properties" => {
                let plain = value
                    .as_object()
                    .is_some_and(|object| object.keys().all(|key| key == "name" || key == "value"));
                self.hold(
                    text("name").is_some() && plain,
                    pointer,
                    "is not a name with a value",
                )
            }
            "resolves" => self.hold(
                self.one_of(get("type"), &ISSUE_TYPES),
                pointer,
                "has a `type` that is not in the list",
            ),
            "patches" => self.hold(
                self.one_of(get("type"), &PATCH_TYPES),
                pointer,
                "has a `type` that is not in the list",
            ),
            "swid" => self.hold(
                text("tagId").is_some() && text("name").is_some(),
                pointer,
                "has no `tagId` or no `name`",
            ),
            "data" if get("flow").is_some() => self.hold(
                self.one_of(get("flow"), &FLOWS),
                pointer,
                "has a `flow` that is not in the list",
            ),
            "dependencies" => self.hold(
                text("ref").is_some_and(|r| !r.is_empty()),
                pointer,
                "has no `ref`",
            ),
            _ => Ok(()),
        }
    }

    /// A list of licences is one expression, or licences; up to 1.6 never both.
    fn licences(&self, list: &[Value], pointer: &str) -> Result<(), FormError> {
        let mut expressions = 0;
        for choice in list {
            let (expression, licence) = (choice.get("expression"), choice.get("license"));
            self.hold(
                expression.is_some() != licence.is_some(),
                pointer,
                "has an element that is not one of `license` and `expression`",
            )?;
            expressions += usize::from(expression.is_some());
        }
        let alone = expressions == 0 || (expressions == 1 && list.len() == 1);
        self.hold(
            alone || !self.closed_lists,
            pointer,
            "has more beside an expression",
        )
    }
}
