//! The sizes that a memory may have: one place, quoted by validation and by the OpenAPI document.

/// Characters of a title.
pub const TITLE_CHARS: usize = 512;
/// Bytes of a content (64 KiB).
pub const CONTENT_BYTES: usize = 64 * 1024;
/// Tags of one memory.
pub const TAGS: usize = 50;
/// Bytes of one tag.
pub const TAG_BYTES: usize = 128;
/// Bytes of the metadata as compact JSON (64 KiB).
pub const METADATA_BYTES: usize = 64 * 1024;
/// Levels of nesting in the metadata.
pub const METADATA_DEPTH: usize = 32;
/// Memories in one bulk request.
pub const BATCH: usize = 1000;
/// Characters of a namespace.
pub const NAMESPACE_CHARS: usize = 128;
/// Characters of `source`, of `agent_id` and of `scope`.
pub const NAME_CHARS: usize = 128;
/// Rows of one page of a listing or a search.
pub const PAGE_ROWS: usize = 1000;
/// Characters of a search query.
pub const QUERY_CHARS: usize = 1024;
/// Characters of a recall's context, which may be long prose.
pub const CONTEXT_CHARS: usize = 16 * 1024;
/// Bytes of a request body with one memory in it.
pub const BODY_BYTES: usize = 512 * 1024;
/// Bytes of a request body with many memories in it.
pub const BULK_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Seconds a `short` memory lives when nothing else is said: six hours.
pub const SHORT_TTL_S: i64 = 6 * 3600;
/// Seconds a `mid` memory lives when nothing else is said: seven days.
pub const MID_TTL_S: i64 = 7 * 24 * 3600;
/// The longest `ttl_secs`: a hundred years.
pub const MAX_TTL_S: i64 = 100 * 366 * 24 * 3600;
