//! The log as peers see it: reading it in order, taking in what was admitted, how far each peer is.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::reader::ReadContext;
use super::settings;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::federation::identity::Fingerprint;
use crate::identity::admit::{AdmittedVersion, Subject, WireVersion};
use crate::identity::hlc::Hlc;
use crate::identity::resolve::{self, State};
use crate::identity::version::Op;
use crate::model::MemoryId;

/// The highest clock value that came from elsewhere, as text.
const HIGHEST_CLOCK: &str = "highest_clock";

/// What became of versions that were admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// New in the log.
    pub taken: usize,
    /// There before.
    pub known: usize,
}

/// How far a peer's log was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCursor {
    /// The peer's epoch; empty: it was never read.
    pub epoch: String,
    /// The place in its log that was read last.
    pub after: u64,
    /// The place in our log that was pushed to it last.
    pub pushed_after: u64,
    /// The last good exchange; `None`: there was none.
    pub contact: Option<Timestamp>,
}

/// The highest clock value that came from elsewhere.
pub(super) fn highest_clock(conn: &Connection) -> Result<Hlc, StoreError> {
    let Some(text) = settings::get(conn, HIGHEST_CLOCK)? else {
        return Ok(Hlc::default());
    };
    let text = std::str::from_utf8(&text).map_err(StoreError::damaged)?;
    text.parse().map_err(StoreError::damaged)
}

const COLUMNS: &str = "seq, payload, signature, salt, body";

fn wire_of(row: &rusqlite::Row<'_>) -> Result<(i64, WireVersion), rusqlite::Error> {
    let signature: [u8; 64] = row.get(2)?;
    let salt: Option<[u8; 16]> = row.get(3)?;
    Ok((
        row.get(0)?,
        WireVersion {
            payload: row.get(1)?,
            signature: hex::encode(signature),
            salt: salt.map(hex::encode),
            body: row.get(4)?,
        },
    ))
}

fn text_bytes(wire: &WireVersion) -> usize {
    wire.payload.len() + wire.body.as_ref().map_or(0, String::len)
}

impl ReadContext<'_> {
    /// Versions after the place `after`, in local order: at most `limit`, and no more once their
    /// texts have `max_bytes`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn changes(
        &self,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<(i64, WireVersion)>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM versions WHERE seq > ?1 ORDER BY seq LIMIT ?2"
        ))?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (seq, wire) = wire_of(row)?;
            bytes += text_bytes(&wire);
            found.push((seq, wire));
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(found)
    }

    /// The versions at these places, in their order; no more once their texts have `max_bytes`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn versions_at(
        &self,
        places: &[i64],
        max_bytes: usize,
    ) -> Result<Vec<WireVersion>, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM versions WHERE seq = ?1"))?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for place in places {
            let version = statement.query_row([place], wire_of).optional()?;
            let Some((_, wire)) = version else { continue };
            bytes += text_bytes(&wire);
            found.push(wire);
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(found)
    }

    /// Places and ids of the versions after the place `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn version_ids_after(&self, after: i64) -> Result<Vec<(i64, [u8; 32])>, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT seq, version_id FROM versions WHERE seq > ?1 ORDER BY seq")?;
        let rows = statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The signed versions that are shown, after the place `after`: what an export proves itself by.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn shown_versions_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, WireVersion)>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM versions AS v WHERE seq > ?1 AND
                 (EXISTS (SELECT 1 FROM memories AS m WHERE m.id = v.object_id
                          AND m.version_seq = v.seq
                          AND (m.expires_us IS NULL OR m.expires_us > ?3))
                  OR EXISTS (SELECT 1 FROM links AS l WHERE l.version_seq = v.seq))
             ORDER BY seq LIMIT ?2"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit, self.now.as_micros()], wire_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The signed versions of an object, oldest first; empty: there is no such object.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn versions_of(&self, id: MemoryId) -> Result<Vec<WireVersion>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM versions WHERE object_id = ?1 ORDER BY seq"
        ))?;
        let rows = statement.query_map([id.as_bytes().as_slice()], wire_of)?;
        let found: Vec<(i64, WireVersion)> = rows.collect::<Result<_, _>>()?;
        Ok(found.into_iter().map(|(_, wire)| wire).collect())
    }

    /// Concurrent versions of a memory that is shown; almost always empty.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn siblings_of(&self, id: MemoryId) -> Result<Vec<WireVersion>, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT version_seq FROM siblings WHERE object_id = ?1")?;
        let rows = statement.query_map([id.as_bytes().as_slice()], |row| row.get(0))?;
        let places: Vec<i64> = rows.collect::<Result<_, _>>()?;
        self.versions_at(&places, usize::MAX)
    }

    /// How far a peer's log was read; the default where it never was.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn peer_cursor(&self, peer: &Fingerprint) -> Result<PeerCursor, StoreError> {
        let row: Option<(String, i64, i64, i64)> = self
            .conn
            .prepare_cached(
                "SELECT epoch, after, pushed_after, contact_us FROM peers WHERE fingerprint = ?1",
            )?
            .query_row([peer.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        Ok(
            row.map_or_else(PeerCursor::default, |(epoch, after, pushed, contact)| {
                PeerCursor {
                    epoch,
                    after: u64::try_from(after).unwrap_or(0),
                    pushed_after: u64::try_from(pushed).unwrap_or(0),
                    contact: (contact > 0).then(|| Timestamp::from_micros(contact)),
                }
            }),
        )
    }
}

impl WriteContext<'_> {
    /// Takes in versions that were admitted; in any order, any number of times.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn ingest(&mut self, versions: &[AdmittedVersion]) -> Result<Ingested, StoreError> {
        let mut done = Ingested::default();
        let mut clock_moved = false;
        for version in versions {
            clock_moved |= self.state.see(version.hlc());
            if self.take_in(version)? {
                done.taken += 1;
            } else {
                done.known += 1;
            }
        }
        if clock_moved {
            let highest = versions.iter().map(AdmittedVersion::hlc).max();
            let highest = highest.unwrap_or_default().to_string();
            settings::set(self.conn, HIGHEST_CLOCK, highest.as_bytes())?;
        }
        Ok(done)
    }

    /// `false`: the version was there before.
    fn take_in(&mut self, version: &AdmittedVersion) -> Result<bool, StoreError> {
        let id = version.object();
        let (mut place, mut others) = (None, false);
        {
            let mut statement = self
                .conn
                .prepare_cached("SELECT seq, version_id FROM versions WHERE object_id = ?1")?;
            let mut rows = statement.query([id.as_bytes().as_slice()])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, [u8; 32]>(1)? == version.verified().id().0 {
                    place = Some(row.get::<_, i64>(0)?);
                }
                others = true;
            }
        }
        if let Some(place) = place {
            self.complete(place, version)?;
            return Ok(false);
        }
        let seq = self.append_admitted(version)?;
        let payload = version.verified().payload();
        let alone = !others && payload.op == Op::Put && payload.parents.is_empty();
        match version.subject() {
            // Nobody else speaks of this object: there is nothing to weigh.
            Subject::Memory(body) if alone => {
                self.show_new(id, seq, &payload.ns, body)?;
                self.tell(
                    "memory.created",
                    id,
                    &version.verified().id(),
                    &payload.ns,
                    body,
                )?;
            }
            Subject::Link(link) if alone => self.show_link(id, seq, link)?,
            _ if others => self.reproject(id)?,
            _ => {}
        }
        Ok(true)
    }

    /// Fills in the text of a version that came without it, unless it was erased.
    fn complete(&mut self, place: i64, version: &AdmittedVersion) -> Result<(), StoreError> {
        let Some((salt, body)) = version.content() else {
            return Ok(());
        };
        let missing: bool = self
            .conn
            .prepare_cached("SELECT body IS NULL FROM versions WHERE seq = ?1")?
            .query_row([place], |row| row.get(0))?;
        if !missing {
            return Ok(());
        }
        let id = version.object();
        let all = super::project::candidates(self.conn, id)?;
        let found = resolve::resolve(id, &all, &self.state.identities);
        if matches!(&found.state, State::Deleted { erased } if erased.contains(&place)) {
            return Ok(());
        }
        self.conn
            .prepare_cached("UPDATE versions SET salt = ?2, body = ?3 WHERE seq = ?1")?
            .execute(params![place, salt.as_slice(), body])?;
        self.reproject(id)
    }

    /// Notes how far a peer's log was read.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn set_peer_cursor(
        &mut self,
        peer: &Fingerprint,
        epoch: &str,
        after: u64,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO peers (fingerprint, epoch, after, contact_us) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (fingerprint) DO UPDATE SET epoch = excluded.epoch,
                     after = excluded.after, contact_us = excluded.contact_us",
            )?
            .execute(params![
                peer.as_bytes().as_slice(),
                epoch,
                i64::try_from(after).map_err(StoreError::damaged)?,
                self.now.as_micros(),
            ])?;
        Ok(())
    }

    /// Notes how far our log was pushed to a peer that was read before.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn set_pushed_after(&mut self, peer: &Fingerprint, after: u64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("UPDATE peers SET pushed_after = ?2 WHERE fingerprint = ?1")?
            .execute(params![
                peer.as_bytes().as_slice(),
                i64::try_from(after).map_err(StoreError::damaged)?,
            ])?;
        Ok(())
    }
}
