//! A memory: the raw request, the checked draft, the stored body and the view.
//!
//! Bytes become a [`CreateMemory`] (anything goes), then a [`MemoryDraft`] (valid by construction).
//! A [`MemoryBody`] is what a version's content hash covers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{InvalidInput, limits};
use crate::clock::Timestamp;

/// The name of a memory: a UUID, version 7 when this node made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = "uuid")]
pub struct MemoryId(Uuid);

impl MemoryId {
    /// A new id whose first 48 bits are `now`; `random` fills the rest.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id of these bytes, for what comes out of the database.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for MemoryId {
    type Err = InvalidInput;

    /// Only the hyphenated form: an id has one spelling.
    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let refused = || InvalidInput::new("id", "is not a UUID");
        if text.len() != 36 {
            return Err(refused());
        }
        Uuid::try_parse(text).map(Self).map_err(|_| refused())
    }
}

impl Serialize for MemoryId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemoryId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How long a memory is kept when its maker says nothing else.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Six hours.
    Short,
    /// Seven days.
    #[default]
    Mid,
    /// For ever.
    Long,
}

impl Tier {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Mid => "mid",
            Self::Long => "long",
        }
    }

    /// The tier of this name; `None` for any other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Short, Self::Mid, Self::Long]
            .into_iter()
            .find(|tier| tier.as_str() == name)
    }

    /// Seconds until a memory of this tier expires; `None`: never.
    #[must_use]
    pub fn ttl_s(self) -> Option<i64> {
        match self {
            Self::Short => Some(limits::SHORT_TTL_S),
            Self::Mid => Some(limits::MID_TTL_S),
            Self::Long => None,
        }
    }
}

/// A namespace: 1 to 128 characters, no control characters, no blank at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 128)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        short_name("namespace", text, limits::NAMESPACE_CHARS).map(Self)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("global".to_owned())
    }
}

/// Body of `POST /api/v1/memories`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMemory {
    /// 1 to 512 characters.
    #[schema(
        min_length = 1,
        max_length = 512,
        pattern = r"^[^\u0000]*\S[^\u0000]*$"
    )]
    pub title: String,
    /// 1 byte to 64 KiB of text.
    #[schema(min_length = 1, max_length = 65536)]
    pub content: String,
    /// `mid` when absent.
    #[serde(default)]
    pub tier: Tier,
    /// `global` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// At most 50 of at most 128 bytes each.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub tags: Vec<String>,
    /// 1 to 10; 5 when absent.
    #[serde(default = "default_priority")]
    #[schema(minimum = 1, maximum = 10)]
    pub priority: i64,
    /// 0 to 1; 1 when absent.
    #[serde(default = "default_confidence")]
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f64,
    /// Where the memory came from; `api` when absent.
    #[serde(default = "default_source")]
    #[schema(min_length = 1, max_length = 128)]
    pub source: String,
    /// When the memory ends; wins over `ttl_secs` and the tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Seconds until the memory ends; wins over the tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub ttl_secs: Option<i64>,
    /// Anything, as a JSON object of at most 64 KiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The agent that stores; the header `X-Agent-Id` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub agent_id: Option<String>,
    /// Kept as `metadata.scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub scope: Option<String>,
}

/// Body of `PUT /api/v1/memories/{id}`: what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMemory {
    /// 1 to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 512)]
    pub title: Option<String>,
    /// 1 byte to 64 KiB of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 65536)]
    pub content: Option<String>,
    /// A new tier sets a new end, unless `expires_at` says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The namespace the memory moves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// Replaces all tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub tags: Option<Vec<String>>,
    /// 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub priority: Option<i64>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: Option<f64>,
    /// When the memory ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Replaces the metadata as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// What a version's content hash covers: the erasable part of a memory, stored as these bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryBody {
    /// Who stored it.
    pub agent_id: String,
    /// 0 to 1.
    pub confidence: f64,
    /// The text itself.
    pub content: String,
    /// When the memory was first stored.
    pub created_at: Timestamp,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Anything.
    pub metadata: Map<String, Value>,
    /// 1 to 10.
    pub priority: i64,
    /// Where it came from.
    pub source: String,
    /// Free words.
    pub tags: Vec<String>,
    /// How long it is kept.
    pub tier: Tier,
    /// One line.
    pub title: String,
    /// When this version was made.
    pub updated_at: Timestamp,
}

/// A memory that passed every limit; only [`MemoryDraft::check`] makes one.
#[derive(Clone, Debug)]
pub struct MemoryDraft {
    namespace: Namespace,
    body: MemoryBody,
}

impl MemoryDraft {
    /// Checks a request against the limits, at the moment `now`, from the agent `agent_id`
    /// (which a field of the request overrides).
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(raw: CreateMemory, agent_id: &str, now: Timestamp) -> Result<Self, InvalidInput> {
        let namespace = match &raw.namespace {
            Some(name) => name.parse()?,
            None => Namespace::default(),
        };
        let mut metadata = checked_metadata(raw.metadata)?;
        if let Some(scope) = raw.scope {
            let scope = short_name("scope", &scope, limits::NAME_CHARS)?;
            metadata.insert("scope".to_owned(), Value::String(scope));
        }
        let agent_id = short_name(
            "agent_id",
            raw.agent_id.as_deref().unwrap_or(agent_id),
            limits::NAME_CHARS,
        )?;
        let expires_at = match (raw.expires_at, raw.ttl_secs) {
            (Some(text), _) => Some(checked_expiry(&text)?),
            (None, Some(ttl)) => Some(now.plus_seconds(checked_ttl(ttl)?)),
            (None, None) => raw.tier.ttl_s().map(|ttl| now.plus_seconds(ttl)),
        };
        Ok(Self {
            namespace,
            body: MemoryBody {
                agent_id,
                confidence: checked_confidence(raw.confidence)?,
                content: checked_content(raw.content)?,
                created_at: now,
                expires_at,
                metadata,
                priority: checked_priority(raw.priority)?,
                source: short_name("source", &raw.source, limits::NAME_CHARS)?,
                tags: checked_tags(raw.tags)?,
                tier: raw.tier,
                title: checked_title(raw.title)?,
                updated_at: now,
            },
        })
    }

    /// The namespace it goes to.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What is hashed and stored.
    #[must_use]
    pub fn body(&self) -> &MemoryBody {
        &self.body
    }

    /// What is hashed and stored, on its own.
    #[must_use]
    pub fn into_body(self) -> MemoryBody {
        self.body
    }

    /// Checks a memory that comes out of an export, which keeps its times.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check_imported(memory: Memory) -> Result<(MemoryId, Self), InvalidInput> {
        Ok((
            memory.id,
            Self {
                namespace: memory.namespace.parse()?,
                body: MemoryBody {
                    agent_id: short_name("agent_id", &memory.agent_id, limits::NAME_CHARS)?,
                    confidence: checked_confidence(memory.confidence)?,
                    content: checked_content(memory.content)?,
                    created_at: memory.created_at,
                    expires_at: memory.expires_at,
                    metadata: checked_metadata(memory.metadata)?,
                    priority: checked_priority(memory.priority)?,
                    source: short_name("source", &memory.source, limits::NAME_CHARS)?,
                    tags: checked_tags(memory.tags)?,
                    tier: memory.tier,
                    title: checked_title(memory.title)?,
                    updated_at: memory.updated_at,
                },
            },
        ))
    }
}

/// An update that passed every limit; only [`MemoryPatch::check`] makes one.
#[derive(Clone, Debug)]
pub struct MemoryPatch {
    raw: UpdateMemory,
    namespace: Option<Namespace>,
    expires_at: Option<Timestamp>,
}

impl MemoryPatch {
    /// Checks an update against the limits.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(mut raw: UpdateMemory) -> Result<Self, InvalidInput> {
        let namespace = raw.namespace.as_deref().map(str::parse).transpose()?;
        let expires_at = raw.expires_at.as_deref().map(checked_expiry).transpose()?;
        raw.title = raw.title.map(checked_title).transpose()?;
        raw.content = raw.content.map(checked_content).transpose()?;
        raw.tags = raw.tags.map(checked_tags).transpose()?;
        raw.priority = raw.priority.map(checked_priority).transpose()?;
        raw.confidence = raw.confidence.map(checked_confidence).transpose()?;
        raw.metadata = raw.metadata.map(checked_metadata).transpose()?;
        Ok(Self {
            raw,
            namespace,
            expires_at,
        })
    }

    /// The update that only sets the tier, as a promotion does.
    #[must_use]
    pub fn to_tier(tier: Tier) -> Self {
        Self {
            raw: UpdateMemory {
                tier: Some(tier),
                ..UpdateMemory::default()
            },
            namespace: None,
            expires_at: None,
        }
    }

    /// The memory after this update at the moment `now`.
    #[must_use]
    pub fn apply(
        self,
        namespace: Namespace,
        mut body: MemoryBody,
        now: Timestamp,
    ) -> (Namespace, MemoryBody) {
        let raw = self.raw;
        if let Some(tier) = raw.tier
            && tier != body.tier
        {
            body.tier = tier;
            body.expires_at = tier.ttl_s().map(|ttl| now.plus_seconds(ttl));
        }
        if let Some(expires_at) = self.expires_at {
            body.expires_at = Some(expires_at);
        }
        body.title = raw.title.unwrap_or(body.title);
        body.content = raw.content.unwrap_or(body.content);
        body.tags = raw.tags.unwrap_or(body.tags);
        body.priority = raw.priority.unwrap_or(body.priority);
        body.confidence = raw.confidence.unwrap_or(body.confidence);
        body.metadata = raw.metadata.unwrap_or(body.metadata);
        body.updated_at = now;
        (self.namespace.unwrap_or(namespace), body)
    }
}

/// A memory as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Its name.
    pub id: MemoryId,
    /// How long it is kept.
    pub tier: Tier,
    /// Where it lives.
    pub namespace: String,
    /// One line.
    pub title: String,
    /// The text itself.
    pub content: String,
    /// Free words.
    pub tags: Vec<String>,
    /// 1 to 10.
    pub priority: i64,
    /// 0 to 1.
    pub confidence: f64,
    /// Where it came from.
    pub source: String,
    /// How often a recall has brought it up.
    pub access_count: i64,
    /// When it was first stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When a recall last brought it up; null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_accessed_at: Option<Timestamp>,
    /// When it ends; null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Anything.
    pub metadata: Map<String, Value>,
    /// Who stored it.
    pub agent_id: String,
    /// SHA-256 (64 hex digits) of the signed version that is shown.
    pub version_id: String,
}

impl Memory {
    /// The memory that a version's text speaks of; counts and version id are not known to it.
    #[must_use]
    pub fn of_body(id: MemoryId, namespace: String, body: MemoryBody) -> Self {
        Self {
            id,
            tier: body.tier,
            namespace,
            title: body.title,
            content: body.content,
            tags: body.tags,
            priority: body.priority,
            confidence: body.confidence,
            source: body.source,
            access_count: 0,
            created_at: body.created_at,
            updated_at: body.updated_at,
            last_accessed_at: None,
            expires_at: body.expires_at,
            metadata: body.metadata,
            agent_id: body.agent_id,
            version_id: String::new(),
        }
    }
}

fn default_priority() -> i64 {
    5
}

fn default_confidence() -> f64 {
    1.0
}

fn default_source() -> String {
    "api".to_owned()
}

/// A name on one line: 1 to `max` characters, no control characters, no blank at either end.
fn short_name(field: &'static str, text: &str, max: usize) -> Result<String, InvalidInput> {
    if text.is_empty() {
        return Err(InvalidInput::new(field, "is empty"));
    }
    if text.chars().count() > max {
        return Err(InvalidInput::new(
            field,
            format!("has more than {max} characters"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidInput::new(field, "holds a control character"));
    }
    if text.trim() != text {
        return Err(InvalidInput::new(field, "begins or ends with a blank"));
    }
    Ok(text.to_owned())
}

fn checked_title(title: String) -> Result<String, InvalidInput> {
    if title.trim().is_empty() {
        return Err(InvalidInput::new("title", "is empty"));
    }
    if title.chars().count() > limits::TITLE_CHARS {
        let why = format!("has more than {} characters", limits::TITLE_CHARS);
        return Err(InvalidInput::new("title", why));
    }
    no_nul("title", title)
}

fn checked_content(content: String) -> Result<String, InvalidInput> {
    if content.is_empty() {
        return Err(InvalidInput::new("content", "is empty"));
    }
    if content.len() > limits::CONTENT_BYTES {
        let why = format!("has more than {} bytes", limits::CONTENT_BYTES);
        return Err(InvalidInput::new("content", why));
    }
    no_nul("content", content)
}

/// SQLite's text functions stop at a NUL: a text with one would be searched and shown by halves.
fn no_nul(field: &'static str, text: String) -> Result<String, InvalidInput> {
    if text.contains('\0') {
        return Err(InvalidInput::new(field, "holds a NUL character"));
    }
    Ok(text)
}

fn checked_tags(tags: Vec<String>) -> Result<Vec<String>, InvalidInput> {
    if tags.len() > limits::TAGS {
        return Err(InvalidInput::new(
            "tags",
            format!("are more than {}", limits::TAGS),
        ));
    }
    for tag in &tags {
        if tag.len() > limits::TAG_BYTES {
            let why = format!("hold one of more than {} bytes", limits::TAG_BYTES);
            return Err(InvalidInput::new("tags", why));
        }
        short_name("tags", tag, limits::TAG_BYTES)?;
    }
    Ok(tags)
}

fn checked_priority(priority: i64) -> Result<i64, InvalidInput> {
    if (1..=10).contains(&priority) {
        Ok(priority)
    } else {
        Err(InvalidInput::new(
            "priority",
            format!("is {priority}, not between 1 and 10"),
        ))
    }
}

fn checked_confidence(confidence: f64) -> Result<f64, InvalidInput> {
    if (0.0..=1.0).contains(&confidence) {
        Ok(confidence)
    } else {
        Err(InvalidInput::new(
            "confidence",
            format!("is {confidence}, not between 0 and 1"),
        ))
    }
}

fn checked_expiry(text: &str) -> Result<Timestamp, InvalidInput> {
    text.parse().map_err(|source: crate::clock::NotATime| {
        InvalidInput::new("expires_at", format!("is wrong: {source}"))
    })
}

fn checked_ttl(ttl: i64) -> Result<i64, InvalidInput> {
    if (1..=limits::MAX_TTL_S).contains(&ttl) {
        Ok(ttl)
    } else {
        Err(InvalidInput::new(
            "ttl_secs",
            format!("is {ttl}, not between 1 and {}", limits::MAX_TTL_S),
        ))
    }
}

fn checked_metadata(metadata: Map<String, Value>) -> Result<Map<String, Value>, InvalidInput> {
    let value = Value::Object(metadata);
    if depth(&value) > limits::METADATA_DEPTH {
        let why = format!("is nested more than {} levels deep", limits::METADATA_DEPTH);
        return Err(InvalidInput::new("metadata", why));
    }
    if value.to_string().len() > limits::METADATA_BYTES {
        let why = format!("has more than {} bytes", limits::METADATA_BYTES);
        return Err(InvalidInput::new("metadata", why));
    }
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(InvalidInput::new("metadata", "is not an object")),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CreateMemory {
        serde_json::from_str(r#"{"title":"t","content":"c"}"#).unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_model() {
        let draft = MemoryDraft::check(request(), "agent", now()).unwrap();
        assert_eq!(draft.namespace().as_str(), "global");
        assert_eq!(draft.body().tier, Tier::Mid);
        assert_eq!(draft.body().priority, 5);
        assert_eq!(
            draft.body().expires_at,
            Some("2026-01-08T00:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn each_limit_refuses_by_the_name_of_the_field() {
        type Spoil = fn(&mut CreateMemory);
        let cases: [(&str, Spoil); 9] = [
            ("title", |m| m.title = " ".to_owned()),
            ("title", |m| m.title = "x".repeat(513)),
            ("content", |m| {
                m.content = "x".repeat(limits::CONTENT_BYTES + 1)
            }),
            ("tags", |m| m.tags = vec!["x".to_owned(); 51]),
            ("tags", |m| m.tags = vec!["x".repeat(129)]),
            ("priority", |m| m.priority = 11),
            ("confidence", |m| m.confidence = f64::NAN),
            ("namespace", |m| m.namespace = Some("a\nb".to_owned())),
            ("ttl_secs", |m| m.ttl_secs = Some(0)),
        ];
        for (field, spoil) in cases {
            let mut raw = request();
            spoil(&mut raw);
            assert_eq!(
                MemoryDraft::check(raw, "agent", now()).unwrap_err().field,
                field
            );
        }
    }

    #[test]
    fn the_end_is_taken_from_the_most_exact_word() {
        let mut raw = request();
        raw.ttl_secs = Some(60);
        let by_ttl = MemoryDraft::check(raw.clone(), "agent", now()).unwrap();
        assert_eq!(by_ttl.body().expires_at, Some(now().plus_seconds(60)));
        raw.expires_at = Some("2030-01-01T00:00:00Z".to_owned());
        let by_date = MemoryDraft::check(raw, "agent", now()).unwrap();
        assert_eq!(
            by_date.body().expires_at,
            Some("2030-01-01T00:00:00Z".parse().unwrap())
        );
    }
}
