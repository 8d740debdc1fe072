//! The report as JSON: one document, versioned, the same report the same bytes.

use serde::Serialize;

/// The JSON text, ending in a line feed.
///
/// # Errors
/// When a value has no JSON form; reports have one.
pub fn render(report: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}
