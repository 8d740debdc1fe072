//! `db check`: every page, every row, the index, the chain, every signature, the head.
//!
//! A check that finds something says what and goes on; only what cannot be read at all ends it.
//! It may run beside a node that is serving: it takes no lock and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use super::check_index;
use super::error::StoreError;
use super::key::Passphrase;
use super::lifecycle::hold_against_head;
use super::open::{Connector, Role};
use super::open_error::OpenError;
use super::{migrate, preflight, project, settings, transcript};
use crate::clock::Timestamp;
use crate::identity::keys::AuthorKey;
use crate::identity::keys::AuthorSecret;
use crate::identity::resolve::{self, State};
use crate::identity::version::{self, Kind, Op, VersionId};
use crate::model::{MemoryBody, MemoryId};

/// One thing that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which check found it: `pages`, `structure`, `index`, `transcript`, `chain`,
    /// `projection`, `head`.
    pub check: &'static str,
    /// What it is.
    pub detail: String,
}

/// What was checked, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Pages whose MAC was computed.
    pub pages: u64,
    /// Versions whose signature, hash and place were checked.
    pub versions: u64,
    /// Memories held against their versions.
    pub memories: u64,
    /// Links held against their versions.
    pub links: u64,
    /// Empty: all holds.
    pub findings: Vec<Finding>,
}

/// Findings of one kind that are listed; damage may be in every row.
const LISTED: usize = 100;

/// Checks the database at `path`; `with_head`: also against the signed head beside it.
///
/// # Errors
/// When it cannot be opened or read at all.
pub fn check(
    path: &Path,
    passphrase: &Passphrase,
    with_head: bool,
) -> Result<CheckReport, OpenError> {
    // The head is read before the database, so that a running node can only be ahead of it.
    let judged = preflight::judge(path, passphrase)?;
    let connector = Connector::new(path, judged.key);
    let conn = connector.connect(Role::Maintenance)?;
    let schema = migrate::schema_of(&conn)?;
    if schema != migrate::newest() {
        return Err(if schema > migrate::newest() {
            OpenError::TooNew {
                found: schema,
                known: migrate::newest(),
            }
        } else {
            OpenError::Outdated {
                found: schema,
                known: migrate::newest(),
            }
        });
    }
    let mut checker = Checker {
        conn: &conn,
        report: CheckReport {
            pages: 0,
            versions: 0,
            memories: 0,
            links: 0,
            findings: Vec::new(),
        },
    };
    checker.pages()?;
    checker.tolerate("structure", Checker::structure)?;
    checker.tolerate("index", Checker::index)?;
    let seed = settings::require::<32>(&conn, settings::SIGNING_SEED)?;
    let author = AuthorSecret::from_seed(&seed).public();
    checker.tolerate("transcript", |checker| checker.transcript(&author))?;
    let last = checker
        .tolerate("chain", Checker::chain)?
        .unwrap_or_default();
    let latest = checker
        .tolerate("chain", |checker| checker.current(last))?
        .unwrap_or_default();
    checker.tolerate("projection", |checker| checker.memories(&latest))?;
    checker.tolerate("projection", |checker| checker.links(&latest))?;
    if with_head {
        let epoch = hex::encode(settings::require::<16>(&conn, settings::EPOCH)?.as_slice());
        if let Err(refusal) = hold_against_head(&conn, path, &judged.head, &author, &epoch) {
            checker.found("head", refusal);
        }
    }
    Ok(checker.report)
}

/// The only version of each object, with what it shows by itself; `None`: there are more.
type Seen = BTreeMap<[u8; 16], Option<(i64, Option<Kind>)>>;
/// The current version of each object that is shown: what the projection must show.
type Latest = BTreeMap<[u8; 16], (i64, Kind)>;

struct Checker<'a> {
    conn: &'a Connection,
    report: CheckReport,
}

impl Checker<'_> {
    fn found(&mut self, check: &'static str, detail: impl std::fmt::Display) {
        let known = self
            .report
            .findings
            .iter()
            .filter(|finding| finding.check == check)
            .count();
        if known < LISTED {
            self.report.findings.push(Finding {
                check,
                detail: detail.to_string(),
            });
        }
    }

    /// A part that cannot be read is a finding, and the other parts are still checked.
    fn tolerate<T>(
        &mut self,
        check: &'static str,
        part: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, OpenError> {
        match part(self) {
            Ok(value) => Ok(Some(value)),
            Err(error @ (StoreError::Damaged(_) | StoreError::Database(_))) => {
                self.found(check, error);
                Ok(None)
            }
            // SQLCipher turns a connection that met a forged page into a read-only one.
            Err(error) if !self.report.findings.is_empty() => {
                self.found(check, error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Every page's HMAC, by SQLCipher itself.
    fn pages(&mut self) -> Result<(), OpenError> {
        let pages: i64 = self
            .conn
            .query_row("PRAGMA page_count", [], |row| row.get(0))?;
        self.report.pages = u64::try_from(pages).unwrap_or(0);
        for line in self.lines("PRAGMA cipher_integrity_check")? {
            self.found("pages", line);
        }
        Ok(())
    }

    fn structure(&mut self) -> Result<(), StoreError> {
        for line in self.lines("PRAGMA integrity_check")? {
            if line != "ok" {
                self.found("structure", line);
            }
        }
        let counted = "SELECT 'the last place given out is ' || s.seq || ', the last one in use '
             || m.last FROM sqlite_sequence AS s, (SELECT max(rowid) AS last FROM memories) AS m
             WHERE s.name = 'memories' AND s.seq < m.last";
        for line in self.lines(counted)? {
            self.found("structure", line);
        }
        for line in
            self.lines("SELECT \"table\" || ' row ' || rowid FROM pragma_foreign_key_check")?
        {
            self.found("structure", format!("{line} refers to what is not there"));
        }
        Ok(())
    }

    /// FTS5's own check, and that it indexes exactly the memories that there are.
    fn index(&mut self) -> Result<(), StoreError> {
        for index in ["memories_fts", "titles_fts"] {
            let check = format!("INSERT INTO {index} ({index}) VALUES ('integrity-check')");
            self.conn.execute(&check, [])?;
        }
        for line in check_index::findings(self.conn)? {
            self.found("index", line);
        }
        for (sql, what) in [
            (
                "SELECT rowid AS place FROM memories EXCEPT SELECT id FROM memories_fts_docsize",
                "is not indexed",
            ),
            (
                "SELECT id AS place FROM memories_fts_docsize EXCEPT SELECT rowid FROM memories",
                "is indexed and not there",
            ),
            (
                "SELECT rowid AS place FROM memories EXCEPT SELECT id FROM titles_fts_docsize",
                "is not in the index of the titles",
            ),
            (
                "SELECT id AS place FROM titles_fts_docsize EXCEPT SELECT rowid FROM memories",
                "is in the index of the titles and not there",
            ),
        ] {
            for row in self.lines(&format!("SELECT 'memory ' || place FROM ({sql})"))? {
                self.found("index", format!("{row} {what}"));
            }
        }
        Ok(())
    }

    /// Numbers without a gap, every signature, every content hash, every root.
    fn chain(&mut self) -> Result<Seen, StoreError> {
        let conn = self.conn;
        let mut statement = conn.prepare(
            "SELECT seq, version_id, object_id, author, author_seq, payload, signature, salt, body, root
             FROM versions ORDER BY seq",
        )?;
        let mut rows = statement.query([])?;
        let mut seen = Seen::new();
        let mut root = [0_u8; 32];
        let mut expected = 1_i64;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            if seq != expected {
                self.found(
                    "chain",
                    format!("version {expected} is missing: the next one is {seq}"),
                );
            }
            expected = seq.saturating_add(1);
            self.report.versions += 1;
            let object: [u8; 16] = row.get(2)?;
            let author: Vec<u8> = row.get(3)?;
            let author_seq: i64 = row.get(4)?;
            let payload: String = row.get(5)?;
            let signature: [u8; 64] = row.get(6)?;
            let salt: Option<[u8; 16]> = row.get(7)?;
            let body: Option<String> = row.get(8)?;
            let content = salt.as_ref().zip(body.as_ref().map(|body| body.as_bytes()));
            let stored: [u8; 32] = row.get(1)?;
            root = version::next_root(&root, &VersionId(stored));
            if row.get::<_, [u8; 32]>(9)? != root {
                self.found(
                    "chain",
                    format!("version {seq} has another root hash than its history gives"),
                );
                root = row.get(9)?;
            }
            let verified = match version::verify(payload.as_bytes(), &signature, content) {
                Ok(verified) => verified,
                Err(refusal) => {
                    self.found("chain", format!("version {seq}: {refusal}"));
                    continue;
                }
            };
            let said = verified.payload();
            let columns_agree = verified.id().0 == stored
                && said.id == MemoryId::from_bytes(object).to_string()
                && verified.author().as_bytes().as_slice() == author
                && i64::try_from(said.seq) == Ok(author_seq);
            if !columns_agree {
                self.found(
                    "chain",
                    format!("version {seq}: its columns are not what was signed"),
                );
            }
            let shows = said.op == Op::Put && said.parents.is_empty() && body.is_some();
            seen.entry(object)
                .and_modify(|only| *only = None)
                .or_insert(Some((seq, shows.then_some(said.kind))));
        }
        Ok(seen)
    }

    /// What each object is now, by the rules that every node follows.
    fn current(&mut self, seen: Seen) -> Result<Latest, StoreError> {
        let identities = project::identities(self.conn)?;
        let mut latest = Latest::new();
        for (object, only) in seen {
            let shown = match only {
                Some((seq, kind)) => kind.map(|kind| (seq, kind)),
                None => {
                    let id = MemoryId::from_bytes(object);
                    let all = project::candidates(self.conn, id)?;
                    let found = resolve::resolve(id, &all, &identities);
                    match (found.state, found.kind) {
                        (State::Live { seq, .. }, Some(kind)) => Some((seq, kind)),
                        _ => None,
                    }
                }
            };
            latest.extend(shown.map(|shown| (object, shown)));
        }
        Ok(latest)
    }

    /// Every governed action that is no version: no gap, every root, every signature.
    fn transcript(&mut self, own: &AuthorKey) -> Result<(), StoreError> {
        for line in transcript::findings(self.conn, own)? {
            self.found("transcript", line);
        }
        Ok(())
    }

    /// Each memory shows its last version, and each version that is not deleted is shown.
    fn memories(&mut self, latest: &Latest) -> Result<(), StoreError> {
        let conn = self.conn;
        let mut statement = conn.prepare(
            "SELECT m.id, m.version_seq, m.namespace, m.tier, m.priority, m.agent_id, m.created_us,
                    m.updated_us, m.expires_us, v.payload, v.body
             FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq ORDER BY m.rowid",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.report.memories += 1;
            let id: [u8; 16] = row.get(0)?;
            let seq: i64 = row.get(1)?;
            let name = MemoryId::from_bytes(id);
            if latest.get(&id) != Some(&(seq, Kind::Memory)) {
                self.found(
                    "projection",
                    format!("memory `{name}` does not show its last version"),
                );
            }
            let body: Option<String> = row.get(10)?;
            let body = body.and_then(|body| serde_json::from_str::<MemoryBody>(&body).ok());
            let payload: version::Payload = match serde_json::from_str(&row.get::<_, String>(9)?) {
                Ok(payload) => payload,
                Err(_) => continue, // the chain's check has said so
            };
            let Some(body) = body else {
                self.found("projection", format!("memory `{name}` has no text"));
                continue;
            };
            let agrees = row.get::<_, String>(2)? == payload.ns
                && row.get::<_, String>(3)? == body.tier.as_str()
                && row.get::<_, i64>(4)? == body.priority
                && row.get::<_, String>(5)? == body.agent_id
                && row.get::<_, i64>(6)? == body.created_at.as_micros()
                && row.get::<_, i64>(7)? == body.updated_at.as_micros()
                && row.get::<_, Option<i64>>(8)? == body.expires_at.map(Timestamp::as_micros);
            if !agrees {
                self.found(
                    "projection",
                    format!("memory `{name}` is not what its version says"),
                );
            }
        }
        let shown = self.report.memories;
        let live = latest.values().filter(|(_, kind)| *kind == Kind::Memory);
        let live = u64::try_from(live.count()).unwrap_or(u64::MAX);
        if live != shown {
            self.found(
                "projection",
                format!("{live} memories are in the log, {shown} are shown"),
            );
        }
        Ok(())
    }

    fn links(&mut self, latest: &Latest) -> Result<(), StoreError> {
        let conn = self.conn;
        let mut statement =
            conn.prepare("SELECT l.id, l.version_seq FROM links AS l ORDER BY l.version_seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.report.links += 1;
            let id: [u8; 16] = row.get(0)?;
            if latest.get(&id) != Some(&(row.get(1)?, Kind::Link)) {
                let name = MemoryId::from_bytes(id);
                self.found(
                    "projection",
                    format!("link `{name}` does not show its last version"),
                );
            }
        }
        let shown = self.report.links;
        let live = latest.values().filter(|(_, kind)| *kind == Kind::Link);
        let live = u64::try_from(live.count()).unwrap_or(u64::MAX);
        if live != shown {
            self.found(
                "projection",
                format!("{live} links are in the log, {shown} are shown"),
            );
        }
        Ok(())
    }

    fn lines(&self, sql: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.conn.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|line| line.map_err(StoreError::from)).collect()
    }
}
