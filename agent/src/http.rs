//! The agent's paths.

use crate::Agent;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use exposition::encode::TEXT_CONTENT_TYPE;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[derive(Clone)]
struct Scrapes {
    agent: Agent,
    /// One permit a scrape; `None`: no limit.
    permits: Option<Arc<Semaphore>>,
}

pub(crate) fn router(agent: Agent) -> Router {
    let options = agent.options();
    let path = format!("/{}", options.telemetry_path.trim_matches('/'));
    let permits = (options.max_requests > 0).then(|| Arc::new(Semaphore::new(options.max_requests)));
    Router::new()
        .route("/", get(landing))
        .route("/-/healthy", get(|| async { "OK\n" }))
        .route(&path, get(node))
        .route(&format!("{}/cadvisor", path.trim_end_matches('/')), get(cadvisor))
        .route(&format!("{}/kube-state", path.trim_end_matches('/')), get(kube_state))
        .with_state(Scrapes { agent, permits })
}

/// Text answers are not compressed: on a node's network, packing costs both ends more than sending does.
fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], body).into_response()
}

fn refuse(status: StatusCode, why: impl std::fmt::Display) -> Response {
    (status, format!("{why}\n")).into_response()
}

async fn node(State(scrapes): State<Scrapes>, RawQuery(query): RawQuery) -> Response {
    let Some(_permit) = scrapes.permit() else {
        return too_many(&scrapes);
    };
    let filter = match crate::node::Filter::parse(query.as_deref().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
    };
    match scrapes.agent.inner.node.gather(filter).await {
        Ok(body) => text(body),
        Err(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn cadvisor(State(scrapes): State<Scrapes>) -> Response {
    let Some(_permit) = scrapes.permit() else {
        return too_many(&scrapes);
    };
    if !scrapes.agent.options().cadvisor {
        return refuse(StatusCode::NOT_FOUND, "turned off by --cadvisor=false");
    }
    match scrapes.agent.inner.containers.gather().await {
        Ok(body) => text(body),
        Err(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn kube_state(State(scrapes): State<Scrapes>) -> Response {
    let Some(_permit) = scrapes.permit() else {
        return too_many(&scrapes);
    };
    if !scrapes.agent.options().kube_state {
        return refuse(StatusCode::NOT_FOUND, "turned off by --kube-state=false");
    }
    match scrapes.agent.inner.kubernetes.state.scrape() {
        // in pieces, as the other end takes them: a large cluster's text is never in memory as a whole
        Ok(pieces) => {
            let pieces = futures::stream::iter(pieces.map(Ok::<_, std::convert::Infallible>));
            ([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], Body::from_stream(pieces)).into_response()
        }
        Err(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

impl Scrapes {
    fn permit(&self) -> Option<Option<tokio::sync::OwnedSemaphorePermit>> {
        match &self.permits {
            None => Some(None),
            Some(all) => all.clone().try_acquire_owned().ok().map(Some),
        }
    }
}

fn too_many(scrapes: &Scrapes) -> Response {
    let limit = scrapes.agent.options().max_requests;
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("Limit of concurrent requests reached ({limit}), try again later."),
    )
}

async fn landing(State(scrapes): State<Scrapes>) -> Html<String> {
    let path = scrapes.agent.options().telemetry_path.trim_matches('/').to_owned();
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Pharos agent</title></head>\n\
         <body>\n<h1>Pharos agent</h1>\n<p>Version {version}</p>\n<ul>\n\
         <li><a href=\"/{path}\">Node metrics</a></li>\n\
         <li><a href=\"/{path}/cadvisor\">Container metrics</a></li>\n\
         <li><a href=\"/{path}/kube-state\">Cluster state</a></li>\n</ul>\n</body>\n</html>\n",
        version = env!("CARGO_PKG_VERSION"),
    ))
}
