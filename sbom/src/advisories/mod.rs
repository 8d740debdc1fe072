//! The match of packages against the RustSec advisory database, the report that a release ships, and
//! the VEX document that states which findings were accepted. An empty, truncated or unreadable
//! database is an error and never a clean result.

mod database;
mod database_error;
mod finding;
mod ignore;
mod listing;
mod report;
pub mod vex;

pub use database::Database;
pub use database_error::DatabaseError;
pub use finding::{Affected, Finding, FindingKind, Target, TargetError};
pub use ignore::{Analysis, Ignore, IgnoreError, Justification};
pub use listing::Listing;
pub use report::{DatabaseFacts, Decision, Judged, Report, ReportError, Rules, Subject};

/// Dates as `YYYY-MM-DD`, for serde.
pub(crate) mod date {
    use serde::{Deserialize, Deserializer, Serializer};
    use time::Date;
    use time::format_description::BorrowedFormatItem;
    use time::macros::format_description;

    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

    /// Reads `YYYY-MM-DD`.
    pub(crate) fn parse(text: &str) -> Option<Date> {
        Date::parse(text, FORMAT).ok()
    }

    /// Writes `YYYY-MM-DD`.
    pub(crate) fn text(date: Date) -> String {
        date.format(FORMAT)
            .expect("every date has year, month and day")
    }

    pub(crate) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*date))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{text}` is not a date of the form YYYY-MM-DD"
            ))
        })
    }
}
