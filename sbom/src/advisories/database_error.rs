//! Why an advisory database is refused.

/// Why a database is refused.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No document at all.
    #[error("the advisory database is empty")]
    Empty,
    /// A file that does not belong there.
    #[error(
        "`{path}` is not the place of an advisory (`crates/<package>/RUSTSEC-<year>-<number>.md`)"
    )]
    Name {
        /// Path in the database.
        path: String,
    },
    /// A file that is too small, or ends before the front matter does.
    #[error("`{path}` is cut off: {size_bytes} bytes")]
    Truncated {
        /// Path in the database.
        path: String,
        /// Its size.
        size_bytes: u64,
    },
    /// A document that cannot be read.
    #[error("`{path}` is not a readable advisory")]
    Document {
        /// Path in the database.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<rustsec::Error>,
    },
    /// The document speaks of another package, or has another identifier, than its path says.
    #[error("`{path}` contains `{found}`")]
    Misplaced {
        /// Path in the database.
        path: String,
        /// Identifier and package in the document.
        found: String,
    },
    /// Two documents with the same identifier.
    #[error("`{path}` has the identifier of another advisory")]
    Duplicate {
        /// Path of the second one.
        path: String,
    },
    /// The listing names a document that was to be read and was not handed over.
    #[error("`{path}` is listed and was not read")]
    NotRead {
        /// Path in the database.
        path: String,
    },
    /// A package was asked about whose advisories were not read.
    #[error("the advisories of `{package}` were not read")]
    NotCovered {
        /// The package.
        package: String,
    },
}
