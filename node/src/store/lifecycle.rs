//! Making a database, opening one, and closing it: the order of the checks.

use std::fs::{File, OpenOptions as FileOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _};

use super::error::StoreError;
use super::key::{DatabaseKey, Passphrase};
use super::log::{Log, LogState};
use super::memories::Stored;
use super::open::{Connector, Role};
use super::open_error::OpenError;
use super::preflight::{self, PLAINTEXT_MAGIC, beside, has_wal};
use super::reader::{ReadContext, ReaderPool};
use super::writer::{Undo, WriteContext, Writer, WriterHealth};
use super::{migrate, settings};
use crate::clock::Clock;
use crate::identity::entropy::random;
use crate::identity::head::{self, Head, HeadFile, HeadState};
use crate::identity::keys::{AuthorKey, AuthorSecret};
use crate::model::MemoryDraft;

/// How a database is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Take a database that is behind its head, or has none, and begin a new epoch.
    pub accept_rollback: bool,
    /// Connections for reading.
    pub readers: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            accept_rollback: false,
            readers: 4,
        }
    }
}

/// An open database. Cloning it is cheap; all clones are one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: ReaderPool,
    author: AuthorKey,
    epoch: String,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    // Held until the store is gone: nobody else opens the database meanwhile.
    _lock: File,
}

/// Makes a new database at `path`, mode 0600, and its signed head beside it.
///
/// # Errors
/// When there is one already, when it cannot be written, or when it would not be encrypted. What
/// was made by then is taken away again.
pub fn create(path: &Path, passphrase: &Passphrase) -> Result<AuthorKey, OpenError> {
    let made = FileOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(file) => drop(file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(OpenError::Exists(path.to_owned()));
        }
        Err(source) => return Err(OpenError::io("create", path, source)),
    }
    let outcome = fill(path, passphrase);
    if outcome.is_err() {
        for file in [
            path.to_owned(),
            beside(path, "-wal"),
            beside(path, "-shm"),
            head::path_beside(path),
        ] {
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %file.display(), "could not be taken away again");
            }
        }
    }
    outcome
}

fn fill(path: &Path, passphrase: &Passphrase) -> Result<AuthorKey, OpenError> {
    let key = DatabaseKey::derive(passphrase, random()?)?;
    let connector = Connector::new(path, key);
    let conn = connector.connect(Role::Create)?;
    migrate::run(&conn, path)?;
    let secret = AuthorSecret::generate()?;
    let epoch: [u8; 16] = random()?;
    settings::set(&conn, settings::SIGNING_SEED, secret.seed().as_slice())?;
    settings::set(&conn, settings::EPOCH, &epoch)?;
    close(conn)?;
    require_encrypted(path)?;
    let author = secret.public();
    let log = Log::new(secret, hex::encode(epoch), connector.key())?;
    let conn = connector.connect(Role::Reader)?;
    let state = LogState::load(&conn, &author)?;
    close(conn)?;
    drop(create_head(&connector, &log, &state)?);
    Ok(author)
}

impl Store {
    /// Opens the database: judges the file, takes the lock, keys, migrates, holds the log against
    /// the signed head, and starts the writer.
    ///
    /// # Errors
    /// The first thing that does not hold. Nothing was changed then.
    pub fn open(
        path: &Path,
        passphrase: &Passphrase,
        options: OpenOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let judged = preflight::judge(path, passphrase)?;
        let connector = Connector::new(path, judged.key);
        check_shape(&connector, &judged.head, options)?;
        let conn = connector.connect(Role::Writer)?;
        migrate::run(&conn, path)?;
        let seed = settings::require::<32>(&conn, settings::SIGNING_SEED)?;
        let secret = AuthorSecret::from_seed(&seed);
        let author = secret.public();
        let (epoch, head_file) = begin(&conn, &connector, secret, &judged.head, options)?;
        let log = Log::new(
            AuthorSecret::from_seed(&seed),
            epoch.clone(),
            connector.key(),
        )?;
        let state = LogState::load(&conn, &author)?;
        let readers = ReaderPool::open(&connector, options.readers.max(1), Arc::clone(&clock))?;
        let writer = Writer::start(conn, log, state, head_file, Arc::clone(&clock))?;
        let inner = Inner {
            writer,
            readers,
            author,
            epoch,
            path: path.to_owned(),
            clock,
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Runs `work` in the next commit and answers when that is on the disk.
    ///
    /// # Errors
    /// What `work` says, [`StoreError::Busy`] when the queue is full, and
    /// [`StoreError::CommitFailed`] when the commit did not get through.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.writer.write(Undo::Command, work).await
    }

    /// Stores a new memory; the same as [`Store::write`] with nothing but
    /// [`WriteContext::create_memory`], and cheaper.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub async fn create_memory(&self, draft: MemoryDraft) -> Result<Stored, StoreError> {
        self.inner
            .writer
            .write(Undo::Group, move |write| write.create_memory(&draft))
            .await
    }

    /// The same as [`Store::write`] for code that may block.
    ///
    /// # Errors
    /// Those of [`Store::write`].
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.writer.write_blocking(work)
    }

    /// Runs `work` over one consistent state.
    ///
    /// # Errors
    /// What `work` says.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.readers.read(work).await
    }

    /// The node's public key: the author of everything that is written here.
    #[must_use]
    pub fn author(&self) -> AuthorKey {
        self.inner.author
    }

    /// The name of this incarnation of the log.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The clock that every write and read is timed by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// What the writer has done.
    #[must_use]
    pub fn health(&self) -> &WriterHealth {
        self.inner.writer.health()
    }

    /// Commits what waits, moves the WAL into the database and closes every connection. Blocks.
    pub fn close(&self) {
        self.inner.readers.close();
        self.inner.writer.close();
    }
}

/// Locks the database file itself, so that nothing is made beside it; the lock goes with the process.
///
/// `flock` and SQLite's own `fcntl` locks do not see each other. But closing any descriptor of the
/// file would drop SQLite's locks: this one is closed after the last connection.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::Missing(path.to_owned()));
        }
        Err(source) => return Err(OpenError::io("open", path, source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(OpenError::io("lock", path, source)),
    }
}

/// Looks at a database without taking or changing anything; returns its schema.
///
/// # Errors
/// Those of [`Store::open`], except that it may be in use.
pub fn examine(path: &Path, passphrase: &Passphrase) -> Result<i64, OpenError> {
    let judged = preflight::judge(path, passphrase)?;
    let connector = Connector::new(path, judged.key);
    check_shape(&connector, &judged.head, OpenOptions::default())?;
    let conn = connector.connect(Role::Reader)?;
    let schema = migrate::schema_of(&conn)?;
    close(conn)?;
    Ok(schema)
}

/// What can be held against the file and the head before anything may be written.
///
/// Nothing is changed by this: where a WAL is there, closing does not move it into the database;
/// where none is, closing takes away the empty one that reading has made.
fn check_shape(
    connector: &Connector,
    head: &HeadState,
    options: OpenOptions,
) -> Result<(), OpenError> {
    let path = connector.path();
    let had_wal = has_wal(path);
    let conn = connector.connect(Role::Reader)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_wal)?;
    let schema = migrate::schema_of(&conn)?;
    if schema == 0 {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if schema > migrate::newest() {
        return Err(OpenError::TooNew {
            found: schema,
            known: migrate::newest(),
        });
    }
    if options.accept_rollback {
        return close(conn);
    }
    let seed = settings::require::<32>(&conn, settings::SIGNING_SEED)?;
    let author = AuthorSecret::from_seed(&seed).public();
    let epoch = hex::encode(settings::require::<16>(&conn, settings::EPOCH)?.as_slice());
    hold_against_head(&conn, path, head, &author, &epoch)?;
    close(conn)
}

/// The head must be there, be signed by this node, and speak of a log that the database has.
pub(super) fn hold_against_head<'a>(
    conn: &Connection,
    path: &Path,
    head: &'a HeadState,
    author: &AuthorKey,
    epoch: &str,
) -> Result<&'a Head, OpenError> {
    let head_path = head::path_beside(path);
    let unchecked = match head {
        HeadState::Missing => return Err(OpenError::HeadMissing(head_path)),
        HeadState::Unreadable => return Err(OpenError::HeadForged(head_path)),
        HeadState::Present(unchecked) => unchecked,
    };
    // A rotation of the node's key may have been cut off before the head was written anew.
    let previous = settings::previous_author(conn)?;
    let head = unchecked
        .check(author)
        .or_else(|| previous.and_then(|key| unchecked.check(&key)))
        .ok_or(OpenError::HeadForged(head_path))?;
    let other = |why| OpenError::OtherHistory {
        path: path.to_owned(),
        why,
    };
    if head.epoch != epoch {
        return Err(other("the epochs differ"));
    }
    let last: i64 = conn.query_row("SELECT coalesce(max(seq), 0) FROM versions", [], |row| {
        row.get(0)
    })?;
    let last = u64::try_from(last).map_err(StoreError::damaged)?;
    if last < head.seq {
        return Err(OpenError::RolledBack {
            path: path.to_owned(),
            found: last,
            expected: head.seq,
        });
    }
    hold_transcript_against_head(conn, path, head)?;
    if head.seq == 0 {
        return Ok(head);
    }
    let seq = i64::try_from(head.seq).map_err(StoreError::damaged)?;
    let root: Option<Vec<u8>> = conn
        .query_row("SELECT root FROM versions WHERE seq = ?1", [seq], |row| {
            row.get(0)
        })
        .optional()?;
    match root {
        Some(root) if hex::encode(&root) == head.root => Ok(head),
        Some(_) => Err(other("the root hashes differ")),
        None => Err(other("the version that the head speaks of is missing")),
    }
}

/// The transcript must reach as far as the head says, with the same rows.
fn hold_transcript_against_head(
    conn: &Connection,
    path: &Path,
    head: &Head,
) -> Result<(), OpenError> {
    let Some(expected) = head.transcript_seq else {
        return Ok(());
    };
    // A database of an older schema has none, and a head that speaks of one is ahead of it.
    let there: bool = conn.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'transcript'",
        [],
        |row| row.get(0),
    )?;
    let seq = i64::try_from(expected).map_err(StoreError::damaged)?;
    let root: Option<[u8; 32]> = if there {
        conn.query_row("SELECT root FROM transcript WHERE seq = ?1", [seq], |row| {
            row.get(0)
        })
        .optional()?
    } else {
        None
    };
    match root {
        Some(root) if Some(hex::encode(root)) == head.transcript_root => Ok(()),
        Some(_) => Err(OpenError::OtherHistory {
            path: path.to_owned(),
            why: "the roots of the transcript differ",
        }),
        None => Err(OpenError::TranscriptCut {
            path: path.to_owned(),
            expected,
        }),
    }
}

/// Goes on under the head's epoch, or begins a new one where that was asked for.
fn begin(
    conn: &Connection,
    connector: &Connector,
    secret: AuthorSecret,
    head: &HeadState,
    options: OpenOptions,
) -> Result<(String, HeadFile), OpenError> {
    let path = connector.path();
    let head_path = head::path_beside(path);
    let author = secret.public();
    let epoch = hex::encode(settings::require::<16>(conn, settings::EPOCH)?.as_slice());
    match hold_against_head(conn, path, head, &author, &epoch) {
        Ok(head) => {
            let file = HeadFile::open(&head_path, head)
                .map_err(|source| OpenError::io("open", &head_path, source))?;
            Ok((epoch, file))
        }
        Err(refusal) if options.accept_rollback => {
            tracing::warn!(because = %refusal, "the rollback is accepted: a new epoch begins");
            let file = new_epoch(conn, connector, secret)?;
            let epoch = hex::encode(settings::require::<16>(conn, settings::EPOCH)?.as_slice());
            Ok((epoch, file))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Gives the log a new epoch and writes a new head for it.
pub(super) fn new_epoch(
    conn: &Connection,
    connector: &Connector,
    secret: AuthorSecret,
) -> Result<HeadFile, OpenError> {
    let epoch: [u8; 16] = random()?;
    settings::set(conn, settings::EPOCH, &epoch)?;
    let state = LogState::load(conn, &secret.public())?;
    let log = Log::new(secret, hex::encode(epoch), connector.key())?;
    create_head(connector, &log, &state)
}

/// Writes a new head for a database whose key has changed, under the epoch that it has.
pub(super) fn write_head(connector: &Connector) -> Result<(), OpenError> {
    let conn = connector.connect(Role::Reader)?;
    let seed = settings::require::<32>(&conn, settings::SIGNING_SEED)?;
    let secret = AuthorSecret::from_seed(&seed);
    let epoch = hex::encode(settings::require::<16>(&conn, settings::EPOCH)?.as_slice());
    let state = LogState::load(&conn, &secret.public())?;
    close(conn)?;
    let log = Log::new(secret, epoch, connector.key())?;
    drop(create_head(connector, &log, &state)?);
    Ok(())
}

/// A new head, in place of any that is there, durable when this returns.
fn create_head(connector: &Connector, log: &Log, state: &LogState) -> Result<HeadFile, OpenError> {
    let head_path = head::path_beside(connector.path());
    let file = HeadFile::create(&head_path, &log.head(state), log.secret())
        .map_err(|source| OpenError::io("create", &head_path, source))?;
    sync_folder_of(connector.path())?;
    Ok(file)
}

pub(super) fn close(conn: Connection) -> Result<(), OpenError> {
    conn.close().map_err(|(_, error)| error.into())
}

/// After the first commit the file must not look like a plaintext database.
fn require_encrypted(path: &Path) -> Result<(), OpenError> {
    let mut start = [0_u8; 16];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .map_err(|source| OpenError::io("read", path, source))?;
    if &start == PLAINTEXT_MAGIC {
        return Err(OpenError::NotEncrypted(path.to_owned()));
    }
    Ok(())
}

/// Makes a new name in a folder survive a power cut.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), OpenError> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| OpenError::io("sync", folder, source))
}
