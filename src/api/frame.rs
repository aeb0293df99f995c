//! What holds for every request, whatever answers it: it waits for the revision that the reader asks for, ends in time and
//! without a panic, says which revision it holds, gives its errors a body, is open to pages of any origin, and is counted.
//!
//! One layer instead of one for each of these: a layer costs every request some allocations of its own, and a tile from the
//! cache costs little else.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tower::{Layer, Service};

use super::extract::Asked;
use super::reader::{Reader, redacted, said};
use super::{App, Shared, problem};
use crate::audit::Act;
use crate::domain::text::Text;
use crate::error::{Error, Result};

/// The header that says which revision an answer holds.
pub const REVISION: HeaderName = HeaderName::from_static("lamppost-revision");
/// The header by which a reader asks for at least a revision.
pub const MIN_REVISION: HeaderName = HeaderName::from_static("lamppost-min-revision");

/// The addresses whose requests may take as long as their sender goes on sending: `api::multipart` sees to that.
pub const UPLOAD: &str = "/imports";
/// The same for documents.
pub const EVIDENCE: &str = "/evidence";

/// Puts a [`Framed`] around every route.
#[derive(Clone, Debug)]
pub struct Frame(pub Shared);

impl<S> Layer<S> for Frame {
    type Service = Framed<S>;

    fn layer(&self, inner: S) -> Framed<S> {
        Framed {
            app: self.0.clone(),
            inner,
        }
    }
}

/// A route and what holds for every request.
#[derive(Clone, Debug)]
pub struct Framed<S> {
    app: Shared,
    inner: S,
}

impl<S> Service<Request> for Framed<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if request.method() == Method::OPTIONS {
            return ready(Ok(preflight(request.headers()))).boxed();
        }
        let start = Instant::now();
        let app = self.app.clone();
        let path = request.extensions().get::<MatchedPath>().cloned();
        let asked = Asked::of(request.uri(), request.headers(), request.extensions());
        let method = request.method().clone();
        let patient = method == Method::POST && path.as_ref().is_some_and(|p| [UPLOAD, EVIDENCE].contains(&p.as_str()));
        let wanted = request.headers().get(MIN_REVISION).cloned();
        // Nothing runs before it is awaited. In a box of its own it is not copied into the future around it.
        let stranger = Reader::stranger(&app, &request);
        let peer = stranger.as_ref().map(|r| r.peer);
        let handler: BoxFuture<'static, Result<Response, Infallible>> = match stranger {
            Some(reader) => match reader.admit(path.as_ref().map(MatchedPath::as_str)) {
                Ok(()) => {
                    request.extensions_mut().insert(reader);
                    Box::pin(self.inner.call(request))
                }
                Err(e) => Box::pin(ready(Ok(e.into_response()))),
            },
            None => Box::pin(known(app.clone(), self.inner.clone(), path.clone(), request)),
        };
        let framed = async move {
            let mut response = match wait(&app, wanted).await {
                Ok(()) if patient => answer(&app, handler, Duration::MAX).await,
                Ok(()) => answer(&app, handler, app.max_time).await,
                Err(e) => e.into_response(),
            };
            response = problem::render(&app, &asked, response);
            open(response.headers_mut());
            if let Some(peer) = peer.filter(|_| refused(&response)) {
                let what = format!("{method} {}", redacted(&asked.uri));
                app.audit.note(Act::Refused, "", &said(peer), &what);
            }
            let (status, took) = (response.status().as_u16(), start.elapsed());
            app.metrics.record(path, status, took);
            let uri = asked.uri.query().map(|_| redacted(&asked.uri));
            let uri = uri.as_deref().unwrap_or(asked.uri.path());
            tracing::debug!(%method, uri, status, duration_ms = took.as_secs_f64() * 1e3, "request");
            Ok(response)
        };
        framed.boxed()
    }
}

fn refused(response: &Response) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&response.status())
}

/// What a request is answered that carries a secret. What is refused is written down.
async fn known<S>(
    app: Shared,
    mut inner: S,
    path: Option<MatchedPath>,
    request: Request,
) -> Result<Response, Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let (mut head, body) = request.into_parts();
    let what = format!("{} {}", head.method, redacted(&head.uri));
    let reader = Reader::of(&app, &head).await;
    let (name, peer) = match &reader {
        Ok(reader) => (reader.name().to_owned(), reader.peer()),
        Err(_) => (String::new(), Reader::peer_of(&head)),
    };
    let admitted = reader.and_then(|reader| {
        reader.admit(path.as_ref().map(MatchedPath::as_str))?;
        Ok(reader)
    });
    let response = match admitted {
        Err(e) => e.into_response(),
        Ok(reader) => {
            head.extensions.insert(reader.clone());
            let mut response = inner.call(Request::from_parts(head, body)).await?;
            reader.seal(&mut response);
            response
        }
    };
    if refused(&response) {
        app.audit.note(Act::Refused, &name, &peer, &what);
    }
    Ok(response)
}

/// What the handler answers, in time, without a panic, and with the revision that it holds at least.
async fn answer(
    app: &App,
    handler: impl Future<Output = Result<Response, Infallible>> + Unpin,
    most: Duration,
) -> Response {
    // Read before the handler reads memory.
    let revision = app.feed.position().revision;
    let mut response = match tokio::time::timeout(most, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_)) => Error::internal("a handler panicked").into_response(),
        Err(_) => Error::Busy(Text::new("请求超时", "the request took too long")).into_response(),
    };
    let headers = response.headers_mut();
    headers.entry(REVISION).or_insert_with(|| HeaderValue::from(revision));
    response
}

/// Waits for the revision that the reader asks for.
async fn wait(app: &App, wanted: Option<HeaderValue>) -> Result<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let Some(wanted) = wanted.to_str().ok().and_then(|s| s.parse::<i64>().ok()) else {
        let detail = Text::new("应为修订号", "should be a revision number");
        return Err(Error::syntax("Lamppost-Min-Revision", detail));
    };
    if app.feed.reached(wanted).await {
        return Ok(());
    }
    Err(Error::Busy(crate::text!(
        "修订 {wanted} 尚未到达本节点",
        "revision {wanted} has not reached this node yet"
    )))
}

/// Lets pages of any origin read an answer, and the headers of it that they have a use for.
fn open(headers: &mut HeaderMap) {
    let exposed = HeaderValue::from_static("etag,link,location,retry-after,lamppost-revision,lamppost-lagging");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// Tells a browser that a page of any origin may send any request, a token included: whoever holds a token may use it.
fn preflight(asked: &HeaderMap) -> Response {
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
        (header::VARY, "access-control-request-headers"),
    ];
    let mut response = (StatusCode::NO_CONTENT, fixed).into_response();
    // Named one by one: a wildcard does not cover Authorization.
    if let Some(headers) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
    response
}
