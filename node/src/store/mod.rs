//! The store: one encrypted database, one writer, a pool of readers.
//!
//! `rusqlite` appears nowhere outside this folder. A [`Store`] exists only over a database whose
//! key fitted, whose schema is the newest and whose log agrees with its signed head.

mod adopt;
mod append;
mod check;
mod check_index;
mod copies;
mod error;
mod federation;
mod idempotency;
mod key;
mod lifecycle;
mod links;
mod log;
mod memories;
mod migrate;
mod open;
mod open_error;
mod outbox;
mod outbox_list;
mod pending_index;
mod preflight;
mod project;
mod quarantine;
mod reader;
mod search;
mod settings;
mod stats;
mod subscriptions;
mod transcript;
mod writer;

pub use adopt::{RefusedRow, Taken};
pub use check::{CheckReport, Finding, check};
pub use copies::{Adopted, backup, encrypt, rekey, restore};
pub use error::StoreError;
pub use federation::{Ingested, PeerCursor};
pub use idempotency::IdempotencyKey;
pub use key::{DatabaseKey, DerivationFailed, EmptyPassphrase, PAGE_BYTES, Passphrase, SALT_BYTES};
pub use lifecycle::{OpenOptions, Store, create, examine};
pub use memories::{Filter, Page, Placed, Stored};
pub use migrate::newest as newest_schema;
pub use open_error::OpenError;
pub use outbox::{Attempt, Delivery, QueuedTest, Turn};
pub use outbox_list::{DeliveryFilter, DeliveryView, Due, OutboxCounts};
pub use quarantine::{Held, Way};
pub use reader::ReadContext;
pub use search::{BROAD, Found, FtsQuery, Match, Ranking};
pub use stats::{CountOf, Stats};
pub use subscriptions::{NewSubscription, Subscription};
pub use writer::{WriteContext, WriterHealth};
