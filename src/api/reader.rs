//! Who asks, and what they may see. `api::frame` finds it out once for every request, and lets nobody on whom it does not know where
//! the service is closed: an address is open to strangers only if it stands in a list here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN, REFERER};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::{App, Shared};
use crate::audit::Act;
use crate::domain::grant::{Grant, Rights};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::store::token::{Credential, Kind};
use crate::text;
use crate::tile::layer::Layer;

/// The cookie of those who are signed in.
pub(super) const COOKIE_NAME: &str = "lamppost_session";
/// The header by which the page shows that a change is its own.
pub(super) const CSRF: &str = "lamppost-csrf";

/// Addresses for everybody: the page, health, and signing in.
const OPEN: &[&str] = &[
    "/",
    "/assets/{*path}",
    "/healthz",
    "/readyz",
    "/problems/{code}",
    "/session",
    "/session/password",
];

/// Addresses that look themselves which layers the reader may see.
const LAYERED: &[&str] = &[
    "/collections",
    "/collections/{layer}",
    "/collections/{layer}/items",
    "/collections/{layer}/items/{id}",
    "/collections/{layer}/nearest",
    "/tiles/{layers}",
    "/tiles/{layers}/{*tile}",
    "/styles/{id}",
    "/events",
];

/// To whom a service is closed who is not signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closed {
    /// To nobody.
    #[default]
    Never,
    /// To those who come through a proxy.
    Forwarded,
    /// To everybody.
    Always,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Reader {
    grant: Option<Arc<Grant>>,
    credential: Option<Credential>,
    /// Whether a stranger may read what is not restricted.
    open: bool,
    /// The key that the address carries.
    key: Option<String>,
    /// Where the request comes from.
    pub(super) peer: Option<IpAddr>,
    nobody: Rights,
}

impl Reader {
    /// Who sends a request without a secret; none if it has one, which must be looked at.
    pub(super) fn stranger(app: &App, request: &Request) -> Option<Reader> {
        let headers = request.headers();
        let secret = headers.contains_key(AUTHORIZATION)
            || headers.contains_key(COOKIE)
            || request.uri().query().is_some_and(|q| q.contains("key="));
        (!secret).then(|| Reader::nobody(app, headers, request.extensions()))
    }

    fn nobody(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Reader {
        let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"];
        let open = match app.closed {
            Closed::Never => true,
            Closed::Forwarded => !forwarded.iter().any(|name| headers.contains_key(*name)),
            Closed::Always => false,
        };
        Reader {
            grant: None,
            credential: None,
            open,
            key: None,
            peer: from(headers, extensions),
            nobody: Rights::default(),
        }
    }

    /// Who sends a request. A token or a key that is not in force is refused; a cookie that is not makes a stranger.
    pub(super) async fn of(app: &App, head: &Parts) -> Result<Reader> {
        let headers = &head.headers;
        let mut reader = Reader::nobody(app, headers, &head.extensions);
        if let Some(header) = headers.get(AUTHORIZATION) {
            let header = header.to_str().unwrap_or_default();
            let token = header
                .strip_prefix("Bearer ")
                .or_else(|| header.strip_prefix("bearer "));
            let token = token.map(str::trim).filter(|t| !t.is_empty());
            let credential = Credential::of(Kind::Token, token.ok_or(Error::Unauthenticated)?);
            let grant = app.door.grant(&credential).await?;
            reader.known(grant.ok_or(Error::Unauthenticated)?, credential);
        } else if let Some(secret) = cookie(headers) {
            let credential = Credential::of(Kind::Session, secret);
            if let Some(grant) = app.door.grant(&credential).await? {
                let unsafe_method = ![Method::GET, Method::HEAD].contains(&head.method);
                let signs_in = head.uri.path() == "/session" && head.method == Method::POST;
                let shown = headers.get(CSRF).and_then(|v| v.to_str().ok());
                if unsafe_method && !signs_in && shown != Some(csrf(secret).as_str()) {
                    return Err(Error::Forbidden(text!(
                        "以 Cookie 登录时，修改须带 {CSRF} 请求头（见 GET /session）",
                        "a change by a signed-in browser needs the header {CSRF} (see GET /session)"
                    )));
                }
                reader.known(grant, credential);
            }
        } else if let Some(key) = key_of(head.uri.query()) {
            let credential = Credential::of(Kind::Key, &key);
            let grant = app.door.grant(&credential).await?.ok_or(Error::Unauthenticated)?;
            comes_from(headers, &grant.origins)?;
            reader.known(grant, credential);
            reader.key = Some(key);
        }
        Ok(reader)
    }

    /// Where a request comes from, as the access log says it.
    pub(super) fn peer_of(head: &Parts) -> String {
        said(from(&head.headers, &head.extensions))
    }

    fn known(&mut self, grant: Arc<Grant>, credential: Credential) {
        (self.grant, self.credential) = (Some(grant), Some(credential));
    }

    /// Refuses what is not open to the reader whatever the handler does.
    pub(super) fn admit(&self, path: Option<&str>) -> Result<()> {
        // What matches no route is answered as such.
        let Some(path) = path.filter(|p| !OPEN.contains(p)) else {
            return Ok(());
        };
        let Some(grant) = &self.grant else {
            return if self.open || LAYERED.contains(&path) {
                Ok(())
            } else {
                Err(Error::Unauthenticated)
            };
        };
        if grant.must_change {
            return Err(Error::Forbidden(Text::new(
                "请先修改初始密码（POST /session/password）",
                "change the first password before anything else (POST /session/password)",
            )));
        }
        if grant.layers.is_some() && !LAYERED.contains(&path) {
            return Err(Error::Forbidden(Text::new(
                "密钥只能读取其图层",
                "a key reads its layers and nothing else",
            )));
        }
        Ok(())
    }

    /// Refuses a layer that the reader may not see.
    pub(super) fn layer(&self, layer: &Layer) -> Result<()> {
        match &self.grant {
            None if self.open || layer.public => Ok(()),
            None => Err(Error::Unauthenticated),
            Some(grant) => match &grant.layers {
                Some(own) if !own.contains(&layer.id) => {
                    let id = &layer.id;
                    Err(Error::Forbidden(text!(
                        "密钥不含图层 {id}",
                        "the key does not open the layer {id}"
                    )))
                }
                _ => Ok(()),
            },
        }
    }

    /// Whether anything but public layers takes signing in.
    pub(super) fn must_sign_in(&self) -> bool {
        self.grant.is_none() && !self.open
    }

    /// The restricted classes that the reader may see.
    pub(super) fn rights(&self) -> &Rights {
        self.grant.as_ref().map_or(&self.nobody, |grant| &grant.rights)
    }

    /// What the reader may do; none of a stranger.
    pub(super) fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// The secret that the reader was known by.
    pub(super) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// What an address that is given to the reader must carry, so that it can be read too: `key=…`.
    pub(super) fn carried(&self) -> Option<String> {
        self.key.as_ref().map(|key| format!("key={key}"))
    }

    /// Whether what the reader was known by still allows the same.
    pub(super) async fn is_same(&self, app: &App) -> bool {
        let Some(credential) = &self.credential else {
            return true;
        };
        app.door.grant(credential).await.is_ok_and(|now| now == self.grant)
    }

    /// Writes down that the reader read of a layer, if that shows them restricted classes.
    pub(super) fn reads_layer(&self, app: &App, layer: &Layer, how: &str) {
        if self.rights().is_none() {
            return;
        }
        let restricted = app.matchers.restricted(&app.index.read());
        if !restricted.rights(self.rights(), layer.bit).is_none() {
            let id = &layer.id;
            app.audit
                .note(Act::Restricted, self.name(), &self.peer(), &format!("{how} {id}"));
        }
    }

    /// Writes down that the reader read of a component, if its class is a restricted one.
    pub(super) fn reads_component(&self, app: &App, class: i32, id: i64) {
        if self.rights().has(class) && app.index.read().classes.get(&class).is_some_and(|c| c.restricted) {
            app.audit
                .note(Act::Restricted, self.name(), &self.peer(), &format!("component {id}"));
        }
    }

    /// The name under which the reader is known; empty of a stranger.
    pub(super) fn name(&self) -> &str {
        self.grant.as_ref().map_or("", |grant| &grant.name)
    }

    /// Where the request comes from, as the access log says it.
    pub(super) fn peer(&self) -> String {
        said(self.peer)
    }

    /// By what attempts from one place are counted: a household has 2^64 addresses of IPv6.
    pub(super) fn place(&self) -> String {
        match self.peer {
            Some(IpAddr::V6(ip)) => format!("{:x?}", &ip.octets()[..8]),
            _ => self.peer(),
        }
    }

    /// What was shown to somebody who is known is nobody else's, and with a right to restricted classes it is kept nowhere.
    pub(super) fn seal(&self, response: &mut Response) {
        let Some(grant) = &self.grant else { return };
        let headers = response.headers_mut();
        let kept = headers
            .get(header::CACHE_CONTROL)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        if !kept.contains("public") && !kept.contains("private") && !kept.contains("no-store") {
            let value = if grant.rights.is_none() {
                "private, no-cache"
            } else {
                "private, no-store"
            };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
        }
        headers.append(header::VARY, HeaderValue::from_static(WHO));
    }
}

/// A peer as the access log says it.
pub(super) fn said(peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| "-".to_owned(), |ip| ip.to_string())
}

fn from(headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|p| p.0.ip());
    // What a proxy on this machine says last is what it has seen itself.
    let said = headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
    let said = said.and_then(|v| v.rsplit(',').next()?.trim().parse().ok());
    match peer {
        Some(ip) if !ip.is_loopback() => Some(ip),
        own => said.or(own),
    }
}

/// What an answer depends on that depends on who asks.
pub(super) const WHO: &str = "authorization, cookie";

impl FromRequestParts<Shared> for Reader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Reader> {
        let reader = parts.extensions.get::<Reader>().cloned();
        reader.ok_or_else(|| Error::internal("a request came past the frame"))
    }
}

/// The session's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE_NAME && !value.is_empty())
        .map(|(_, value)| value)
}

/// What the page shows with its changes: whoever cannot read the cookie's answers does not know it.
pub(super) fn csrf(secret: &str) -> String {
    let digest = Sha256::digest(format!("csrf {secret}").as_bytes());
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// `key=` of a query string.
fn key_of(query: Option<&str>) -> Option<String> {
    let mut pairs = query?.split('&');
    let key = pairs.find_map(|p| p.strip_prefix("key="))?;
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then(|| key.to_owned())
}

/// An address without what must not be read in a log.
pub(super) fn redacted(uri: &axum::http::Uri) -> String {
    let hide = |pair: &str| {
        if pair.starts_with("key=") {
            "key=…".to_owned()
        } else {
            pair.to_owned()
        }
    };
    match uri.query() {
        None => uri.path().to_owned(),
        Some(query) => {
            let pairs: Vec<String> = query.split('&').map(hide).collect();
            format!("{}?{}", uri.path(), pairs.join("&"))
        }
    }
}

/// Refuses a key that is used by another page than those that it was made for.
fn comes_from(headers: &HeaderMap, origins: &[String]) -> Result<()> {
    if origins.is_empty() {
        return Ok(());
    }
    let said = headers.get(ORIGIN).or_else(|| headers.get(REFERER));
    let said = said.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let origin: Vec<&str> = said.splitn(4, '/').take(3).collect();
    let origin = origin.join("/");
    if origins.iter().any(|own| own.trim_end_matches('/') == origin) {
        return Ok(());
    }
    Err(Error::Forbidden(Text::new(
        "该密钥不可用于此网页",
        "the key is not for this page",
    )))
}
