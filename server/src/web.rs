//! The paths outside the API: the web app, health, lifecycle, own metrics.

use crate::State;
use crate::reload::ReloadRequest;
use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{Method, StatusCode, Uri, header};
use std::sync::Arc;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The paths of the web app's pages: each answers the app, which shows the page.
const PAGES: [&str; 10] = [
    "/query",
    "/targets",
    "/config",
    "/flags",
    "/status",
    "/tsdb-status",
    "/service-discovery",
    "/alerts",
    "/rules",
    "/alertmanager-discovery",
];

/// Everything the server answers, below its route prefix.
pub(crate) fn router(state: Arc<State>) -> Router {
    let mut routes = Router::new()
        .route("/", get(|Shared(state): Shared<Arc<State>>| async move { first_page(&state) }))
        .route(
            "/graph",
            get(|Shared(state): Shared<Arc<State>>, uri: Uri| async move { to_query(&state, uri.query()) }),
        )
        // These two texts are looked for by scripts.
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .route("/-/ready", get(|| async { "Prometheus Server is Ready.\n" }))
        .route("/-/reload", any(reload))
        .route("/-/quit", any(quit))
        .route("/version", get(|| async { axum::Json(crate::api::build()) }))
        .route("/metrics", get(metrics))
        .nest("/api/v1", crate::api::router())
        .fallback(asset);
    for page in PAGES {
        routes = routes.route(page, get(|Shared(state): Shared<Arc<State>>| async move { app(&state) }));
    }
    let prefix = state.options.route_prefix();
    let origin = state.cors_origin.clone();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |from, _| {
            from.to_str().is_ok_and(|from| origin.is_match(from))
        }))
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers([header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE, header::ORIGIN])
        .expose_headers([header::DATE]);
    let at_home = state.clone();
    let routes = routes
        .with_state(state)
        .layer(CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest))
        .layer(cors);
    if prefix.is_empty() {
        routes
    } else {
        let home = format!("{prefix}/");
        Router::new()
            // nesting serves the prefix itself, and not with a slash after it
            .route(&home.clone(), get(move || async move { first_page(&at_home) }))
            .route("/", get(move || async move { found(&home) }))
            .nest(&prefix, routes)
    }
}

/// Where a browser goes first.
fn first_page(state: &State) -> Response {
    to_query(state, state.options.home_query.as_deref())
}

fn to_query(state: &State, query: Option<&str>) -> Response {
    let query = query.map_or_else(String::new, |q| format!("?{q}"));
    found(&format!("{}/query{query}", state.options.external_prefix()))
}

/// Sends the client to another place, with the status that Prometheus uses.
fn found(place: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, place)]).into_response()
}

/// The app's page, told where it lives.
fn app(state: &State) -> Response {
    let title = &state.options.web_page_title;
    let page = ui::index_html(&state.options.external_prefix(), title, state.options.query_lookback_delta.0);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn asset(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n").into_response();
    }
    match ui::asset(uri.path().trim_start_matches('/')) {
        // names carry a hash of their content: they never change
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.content_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.bytes,
        )
            .into_response(),
        None => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    }
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let text = tokio::task::block_in_place(|| state.registry.render());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Whether lifecycle requests are allowed, and this is one.
fn lifecycle(state: &State, method: &Method) -> Result<(), (StatusCode, &'static str)> {
    if !state.options.web_enable_lifecycle {
        return Err((StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n"));
    }
    if method != Method::POST && method != Method::PUT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed\n"));
    }
    Ok(())
}

async fn quit(
    Shared(state): Shared<Arc<State>>,
    method: Method,
) -> Result<&'static str, (StatusCode, &'static str)> {
    lifecycle(&state, &method)?;
    state.stop.cancel();
    Ok("Requesting termination... Goodbye!\n")
}

async fn reload(Shared(state): Shared<Arc<State>>, method: Method) -> Response {
    if let Err(refusal) = lifecycle(&state, &method) {
        return refusal.into_response();
    }
    let (reply, answer) = tokio::sync::oneshot::channel();
    let failed = |why: &str| {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {why}\n")).into_response()
    };
    if state.reloads.send(ReloadRequest { reply: Some(reply) }).await.is_err() {
        return failed("the server is stopping");
    }
    match answer.await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(why)) => failed(&why),
        Err(_) => failed("the server is stopping"),
    }
}
