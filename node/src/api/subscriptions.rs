//! `/subscriptions`: webhooks. A secret is in the answer to its making, and in no other.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{ApiId, ApiJson, ApiQuery};
use super::memories::checked_limit;
use super::problem::Problem;
use crate::identity::entropy::random;
use crate::model::{InvalidInput, MemoryId, Namespace, limits};
use crate::store::{DeliveryFilter, DeliveryView, NewSubscription, Subscription};
use crate::webhook::event::EVENTS;
use crate::webhook::sign::Profile;
use crate::webhook::target::Target;

/// Shortest secret that is taken, in bytes.
const SECRET_MIN: usize = 16;
const SECRET_MAX: usize = 256;
/// Both secrets sign for this long after a rotation, unless another time is named: a day.
const OVERLAP_S: i64 = 24 * 3600;
const OVERLAP_MAX_S: i64 = 30 * 24 * 3600;

/// Body of `POST /api/v1/subscriptions`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// https, to a public address.
    #[schema(max_length = 2048)]
    pub url: String,
    /// Event names; empty: all.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub events: Vec<String>,
    /// Only this namespace; the name that older clients send.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Only this namespace.
    #[serde(default)]
    pub namespace_filter: Option<String>,
    /// Only memories of this agent.
    #[serde(default)]
    pub agent_filter: Option<String>,
    /// 16 to 256 printable characters; made here if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<SecretString>,
    /// `standard`, or `legacy-sha256` for receivers written for ai-memory.
    #[serde(default)]
    pub profile: Option<String>,
    /// `namespace` and `agent_id`, for clients that filter so.
    #[serde(default)]
    pub filter: Option<Map<String, Value>>,
}

/// A subscription as it is shown.
#[derive(Clone, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Its name.
    pub id: MemoryId,
    /// Where deliveries go.
    pub url: String,
    /// Event names; empty: all.
    pub events: Vec<String>,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// The same under its own name.
    pub namespace_filter: Option<String>,
    /// Only memories of this agent.
    pub agent_filter: Option<String>,
    /// How the header of ai-memory is keyed.
    pub profile: String,
    /// Whether deliveries are made.
    pub active: bool,
    /// When it was made.
    pub created_at: String,
    /// Names the secret without telling it.
    pub secret_hash: String,
    /// The secret; here only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Every subscription.
#[derive(Clone, Serialize, ToSchema)]
pub struct Subscriptions {
    /// Oldest first.
    pub subscriptions: Vec<SubscriptionView>,
    /// How many.
    pub count: usize,
}

/// Answer to an ending.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Unsubscribed {
    /// Always true.
    pub deleted: bool,
}

/// How a secret is changed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The new secret; made here if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<SecretString>,
    /// Seconds that both sign; a day if absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2592000)]
    pub overlap_s: Option<i64>,
}

/// What is sent again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// From this place; from the first if absent.
    #[serde(default)]
    pub from_seq: Option<i64>,
    /// To this place; to the last if absent.
    #[serde(default)]
    pub to_seq: Option<i64>,
    /// Also what was delivered, not only what is dead.
    #[serde(default)]
    pub delivered_too: bool,
}

/// How many are sent again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// Announcements.
    pub replayed: usize,
}

/// The test that was queued.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TestQueued {
    /// Its place in the list of deliveries.
    pub seq: i64,
    /// Its id, in `webhook-id`.
    pub event_id: String,
}

/// Which deliveries are shown.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    /// `pending`, `delivered` or `dead`.
    pub state: Option<String>,
    /// Only those before this place, to go on where an earlier listing ended.
    pub before_seq: Option<i64>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
}

/// Deliveries to one subscriber.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Deliveries {
    /// Newest first.
    pub deliveries: Vec<DeliveryView>,
    /// How many are shown.
    pub count: usize,
}

fn view(subscription: &Subscription, secret: Option<&SecretString>) -> SubscriptionView {
    SubscriptionView {
        id: subscription.id,
        url: subscription.url.clone(),
        events: subscription.events.clone(),
        namespace: subscription.namespace_filter.clone(),
        namespace_filter: subscription.namespace_filter.clone(),
        agent_filter: subscription.agent_filter.clone(),
        profile: subscription.profile.as_str().to_owned(),
        active: subscription.active,
        created_at: subscription.created_at.to_string(),
        secret_hash: subscription.secret_hash(),
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
    }
}

fn checked_secret(given: Option<SecretString>) -> Result<SecretString, Problem> {
    let Some(secret) = given else {
        let bytes = random::<32>().map_err(|error| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_entropy",
                error.to_string(),
            )
        })?;
        return Ok(format!("whsec_{}", STANDARD.encode(bytes)).into());
    };
    let text = secret.expose_secret();
    let length_fits = (SECRET_MIN..=SECRET_MAX).contains(&text.len());
    if !length_fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!("is not {SECRET_MIN} to {SECRET_MAX} printable ASCII characters");
        return Err(InvalidInput::new("secret", why).into());
    }
    // Every Standard Webhooks library would decode it, and fail at each delivery.
    if text
        .strip_prefix("whsec_")
        .is_some_and(|rest| STANDARD.decode(rest).is_err())
    {
        let why = "begins with `whsec_` and does not go on in base64";
        return Err(InvalidInput::new("secret", why).into());
    }
    Ok(secret)
}

/// A filter must be able to fit: a name that nothing can have would be silence for ever.
fn checked_filters(
    namespace: Option<String>,
    agent: Option<String>,
) -> Result<(Option<String>, Option<String>), Problem> {
    let namespace = match namespace {
        None => None,
        Some(name) => {
            let parsed: Namespace = name
                .parse()
                .map_err(|error: InvalidInput| InvalidInput::new("namespace_filter", error.why))?;
            Some(parsed.as_str().to_owned())
        }
    };
    let fits = |agent: &String| (1..=limits::NAME_CHARS).contains(&agent.chars().count());
    if !agent.as_ref().is_none_or(fits) {
        let why = format!("is not 1 to {} characters long", limits::NAME_CHARS);
        return Err(InvalidInput::new("agent_filter", why).into());
    }
    Ok((namespace, agent))
}

/// Subscribes a URL to changes. The secret is in this answer and in no other.
///
/// # Errors
/// When the URL may not be delivered to, or a field is wrong.
#[utoipa::path(post, path = "/api/v1/subscriptions", tag = "webhooks", request_body = Subscribe,
    responses((status = 201, body = SubscriptionView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(state): State<ApiState>,
    body: ApiJson<Subscribe>,
) -> Result<Response, Problem> {
    let raw = body.value;
    let wrong = |field, why: String| Problem::from(InvalidInput::new(field, why));
    let target = Target::parse(&raw.url, &state.webhook_targets)
        .map_err(|refusal| wrong("url", format!("is refused: {refusal}")))?;
    if let Some(unknown) = raw
        .events
        .iter()
        .find(|name| !EVENTS.contains(&name.as_str()))
    {
        return Err(wrong(
            "events",
            format!("name the unknown `{}`", crate::exit::escape(unknown)),
        ));
    }
    let profile = match raw.profile.as_deref() {
        None => Profile::Standard,
        Some(name) => Profile::from_name(name).ok_or_else(|| {
            wrong(
                "profile",
                "is neither `standard` nor `legacy-sha256`".to_owned(),
            )
        })?,
    };
    let filter = |name: &str| {
        raw.filter
            .as_ref()
            .and_then(|map| map.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let (namespace_filter, agent_filter) = checked_filters(
        raw.namespace_filter
            .or(raw.namespace)
            .or(filter("namespace")),
        raw.agent_filter.or(filter("agent_id")),
    )?;
    let new = NewSubscription {
        url: target.url().to_string(),
        events: raw.events,
        namespace_filter,
        agent_filter,
        profile,
        secret: checked_secret(raw.secret)?,
    };
    let secret = new.secret.clone();
    let made = state
        .store
        .write(move |write| write.subscribe(&new))
        .await?;
    Ok((StatusCode::CREATED, Json(view(&made, Some(&secret)))).into_response())
}

/// Lists subscriptions, without their secrets.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = "webhooks",
    responses((status = 200, body = Subscriptions), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<Subscriptions>, Problem> {
    let all = state.store.read(|read| read.subscriptions()).await?;
    let subscriptions: Vec<_> = all.iter().map(|one| view(one, None)).collect();
    Ok(Json(Subscriptions {
        count: subscriptions.len(),
        subscriptions,
    }))
}

/// Shows one subscription, without its secret.
///
/// # Errors
/// When there is none.
#[utoipa::path(get, path = "/api/v1/subscriptions/{id}", tag = "webhooks", params(("id" = MemoryId, Path)),
    responses((status = 200, body = SubscriptionView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn get(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<SubscriptionView>, Problem> {
    let found = state.store.read(move |read| read.subscription(id)).await?;
    Ok(Json(view(&found, None)))
}

/// Ends a subscription, and everything that is queued for it.
///
/// # Errors
/// When there is none.
#[utoipa::path(delete, path = "/api/v1/subscriptions/{id}", tag = "webhooks", params(("id" = MemoryId, Path)),
    responses((status = 200, body = Unsubscribed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<Unsubscribed>, Problem> {
    state
        .store
        .write(move |write| write.unsubscribe(id))
        .await?;
    Ok(Json(Unsubscribed { deleted: true }))
}

/// Stops deliveries; announcements queue up meanwhile.
///
/// # Errors
/// When there is no such subscription.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/pause", tag = "webhooks", params(("id" = MemoryId, Path)),
    responses((status = 200, body = SubscriptionView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn pause(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<SubscriptionView>, Problem> {
    set_active(&state, id, false).await
}

/// Goes on with deliveries.
///
/// # Errors
/// When there is no such subscription.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/resume", tag = "webhooks", params(("id" = MemoryId, Path)),
    responses((status = 200, body = SubscriptionView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn resume(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<SubscriptionView>, Problem> {
    set_active(&state, id, true).await
}

async fn set_active(
    state: &ApiState,
    id: MemoryId,
    active: bool,
) -> Result<Json<SubscriptionView>, Problem> {
    let changed = state
        .store
        .write(move |write| {
            write.set_active(id, active)?;
            write.read().subscription(id)
        })
        .await?;
    Ok(Json(view(&changed, None)))
}

/// Changes the secret. For a while both sign the Standard Webhooks header.
///
/// # Errors
/// When there is no such subscription, or the secret is not acceptable.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/rotate", tag = "webhooks", request_body = Rotate, params(("id" = MemoryId, Path)),
    responses((status = 200, body = SubscriptionView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn rotate(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    body: ApiJson<Rotate>,
) -> Result<Json<SubscriptionView>, Problem> {
    let overlap_s = body.value.overlap_s.unwrap_or(OVERLAP_S);
    if !(0..=OVERLAP_MAX_S).contains(&overlap_s) {
        let why = format!("is not between 0 and {OVERLAP_MAX_S}");
        return Err(InvalidInput::new("overlap_s", why).into());
    }
    let secret = checked_secret(body.value.secret)?;
    let new = secret.clone();
    let changed = state
        .store
        .write(move |write| write.rotate_secret(id, &new, overlap_s))
        .await?;
    Ok(Json(view(&changed, Some(&secret))))
}

/// Sends an announcement that only says that it is a test.
///
/// # Errors
/// When there is no such subscription.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/test", tag = "webhooks", params(("id" = MemoryId, Path)),
    responses((status = 200, body = TestQueued), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn test(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<TestQueued>, Problem> {
    let queued = state.store.write(move |write| write.send_test(id)).await?;
    Ok(Json(TestQueued {
        seq: queued.seq,
        event_id: queued.event_id,
    }))
}

/// Lists the last announcements to a subscriber.
///
/// # Errors
/// When there is no such subscription, or a parameter is wrong.
#[utoipa::path(get, path = "/api/v1/subscriptions/{id}/deliveries", tag = "webhooks", params(("id" = MemoryId, Path), DeliveriesQuery),
    responses((status = 200, body = Deliveries), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn deliveries(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    ApiQuery(query): ApiQuery<DeliveriesQuery>,
) -> Result<Json<Deliveries>, Problem> {
    let limit = checked_limit(query.limit, 50)?;
    if query
        .state
        .as_deref()
        .is_some_and(|s| !["pending", "delivered", "dead"].contains(&s))
    {
        return Err(InvalidInput::new("state", "is not `pending`, `delivered` or `dead`").into());
    }
    let filter = DeliveryFilter {
        state: query.state,
        before: query.before_seq,
        limit,
    };
    let deliveries = state
        .store
        .read(move |read| read.deliveries(id, &filter))
        .await?;
    Ok(Json(Deliveries {
        count: deliveries.len(),
        deliveries,
    }))
}

/// Sends again what is dead, all of it or a range; what waits for its next attempt goes now.
///
/// # Errors
/// When there is no such subscription.
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/replay", tag = "webhooks", request_body = Replay, params(("id" = MemoryId, Path)),
    responses((status = 200, body = Replayed), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn replay(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    body: ApiJson<Replay>,
) -> Result<Json<Replayed>, Problem> {
    let Replay {
        from_seq,
        to_seq,
        delivered_too,
    } = body.value;
    let (from, to) = (from_seq.unwrap_or(0), to_seq.unwrap_or(i64::MAX));
    let replayed = state
        .store
        .write(move |write| write.replay(id, from, to, delivered_too))
        .await?;
    Ok(Json(Replayed { replayed }))
}
