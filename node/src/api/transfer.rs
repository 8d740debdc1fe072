//! `/export` and `/import`: every memory and link as one JSON document.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::ApiState;
use super::bulk::BulkError;
use super::extract::ApiJson;
use super::problem::Problem;
use crate::identity::admit::WireVersion;
use crate::model::{Link, Memory, MemoryDraft, NewLink};
use crate::store::{Filter, Page, Store, StoreError};

/// The whole store. As a stream it is written page by page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// Version of this format: 1.
    pub version: u32,
    /// When it was begun.
    pub exported_at: String,
    /// Every memory, newest first.
    pub memories: Vec<Memory>,
    /// Every link between them.
    pub links: Vec<Link>,
    /// The signed version behind each of them: `memory-node verify-export` checks it.
    pub versions: Vec<WireVersion>,
    /// How many memories.
    pub count: usize,
}

/// What may be taken in: an export, or as much of one as matters.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Import {
    /// Memories with their ids and times.
    pub memories: Vec<Memory>,
    /// Links between memories that are here by then.
    #[serde(default)]
    pub links: Vec<NewLinkOfExport>,
}

/// A link of an export; who signed it there is not believed here.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewLinkOfExport {
    /// The link.
    #[serde(flatten)]
    pub link: LinkEnds,
}

/// The two ends of a link and what they are to each other.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkEnds {
    /// The memory that the link starts at.
    pub source_id: crate::model::MemoryId,
    /// The memory that the link points to.
    pub target_id: crate::model::MemoryId,
    /// `related_to` when absent.
    #[serde(default)]
    pub relation: crate::model::Relation,
}

/// Answer to an import.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Imported {
    /// Memories that are new here.
    pub imported: usize,
    /// Memories that were known, or deleted here before.
    pub skipped: usize,
    /// Links that are new here.
    pub links: usize,
    /// Those that were refused.
    pub errors: Vec<BulkError>,
}

/// Memories read at once for an export.
const ROWS: usize = 200;
/// Pieces of an export that may wait for a slow reader.
const PIECES: usize = 4;
/// Memories in one write of an import.
const AT_ONCE: usize = 200;

/// A body out of a channel; it ends in the middle when the export fails.
struct Pieces(mpsc::Receiver<Result<Bytes, StoreError>>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Exports every memory and every link. The connection breaks off if reading fails on the way.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/export", tag = "transfer",
    responses((status = 200, body = Export), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn export(State(state): State<ApiState>) -> Result<Response, Problem> {
    let (pieces, receiver) = mpsc::channel(PIECES);
    let store = state.store.clone();
    tokio::spawn(async move {
        if let Err(error) = write_pieces(&store, &pieces).await {
            // The reader may have gone away itself; then there is nobody to tell.
            drop(pieces.send(Err(error)).await);
        }
    });
    let body = Body::new(
        Pieces(receiver)
            .map_err(|error| -> Box<dyn std::error::Error + Send + Sync> { Box::new(error) }),
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Writes the export piece by piece: memories by pages, then links.
async fn write_pieces(
    store: &Store,
    pieces: &mpsc::Sender<Result<Bytes, StoreError>>,
) -> Result<(), StoreError> {
    let send = |text: String| async move {
        pieces
            .send(Ok(Bytes::from(text)))
            .await
            .map_err(|_| StoreError::Closed)
    };
    let to_json = |error: serde_json::Error| StoreError::Database(error.to_string());
    let now = store.clock().now();
    send(format!(
        "{{\"version\":1,\"exported_at\":\"{now}\",\"memories\":["
    ))
    .await?;
    let mut after = None;
    let mut count = 0_usize;
    loop {
        let page = Page {
            limit: ROWS,
            offset: 0,
            after,
        };
        let found = store
            .read(move |read| read.list(&Filter::default(), &page))
            .await?;
        let mut text = String::new();
        for placed in &found {
            if count > 0 {
                text.push_str(",\n");
            }
            count += 1;
            text.push_str(&serde_json::to_string(&placed.memory).map_err(to_json)?);
        }
        after = found.last().map(|placed| placed.place);
        send(text).await?;
        if found.len() < ROWS {
            break;
        }
    }
    send("],\"links\":[".to_owned()).await?;
    let mut first = true;
    let mut after_link = 0;
    loop {
        let found = store
            .read(move |read| read.links_after(after_link, ROWS))
            .await?;
        let mut text = String::new();
        for (place, link) in &found {
            if !first {
                text.push_str(",\n");
            }
            first = false;
            after_link = *place;
            text.push_str(&serde_json::to_string(link).map_err(to_json)?);
        }
        send(text).await?;
        if found.len() < ROWS {
            break;
        }
    }
    send("],\"versions\":[".to_owned()).await?;
    let (mut first, mut after_version) = (true, 0);
    loop {
        let found = store
            .read(move |read| read.shown_versions_after(after_version, ROWS))
            .await?;
        let mut text = String::new();
        for (place, version) in &found {
            if !first {
                text.push_str(",\n");
            }
            first = false;
            after_version = *place;
            text.push_str(&serde_json::to_string(version).map_err(to_json)?);
        }
        send(text).await?;
        if found.len() < ROWS {
            break;
        }
    }
    send(format!("],\"count\":{count}}}\n")).await
}

/// Takes in memories and links of an export. What is known here, or was deleted, stays as it is.
///
/// # Errors
/// When the document is no export or a write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/import", tag = "transfer", request_body = Import,
    responses((status = 200, body = Imported), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn import(
    State(state): State<ApiState>,
    body: ApiJson<Import>,
) -> Result<Json<Imported>, Problem> {
    let mut answer = Imported::default();
    let mut checked = Vec::new();
    for (index, memory) in body.value.memories.into_iter().enumerate() {
        match MemoryDraft::check_imported(memory) {
            Ok(draft) => checked.push(draft),
            Err(error) => answer.errors.push(BulkError {
                index,
                error: error.to_string(),
            }),
        }
    }
    // Oldest first, so that the order of a listing stays what it was.
    checked.sort_by_key(|(id, draft)| (draft.body().created_at, *id));
    while !checked.is_empty() {
        let rest = checked.split_off(checked.len().min(AT_ONCE));
        let part = std::mem::replace(&mut checked, rest);
        let (imported, skipped) = state
            .store
            .write(move |write| {
                let mut new = 0;
                for (id, draft) in &part {
                    new += usize::from(write.import_memory(*id, draft)?.is_some());
                }
                Ok((new, part.len() - new))
            })
            .await?;
        answer.imported += imported;
        answer.skipped += skipped;
    }
    for (index, NewLinkOfExport { link }) in body.value.links.into_iter().enumerate() {
        let link = NewLink {
            source_id: link.source_id,
            target_id: link.target_id,
            relation: link.relation,
        };
        match state
            .store
            .write(move |write| write.create_link(&link))
            .await
        {
            Ok(created) => answer.links += usize::from(created),
            Err(error @ (StoreError::NotFound { .. } | StoreError::Invalid(_))) => {
                answer.errors.push(BulkError {
                    index,
                    error: format!("link: {error}"),
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(answer))
}
