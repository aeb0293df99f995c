//! What handlers take out of a request: parameters read once, every fault at once.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Query};
use axum::http::header::{ACCEPT_LANGUAGE, HOST};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::Shared;
use super::reader::Reader;
use super::resource::percent;
use crate::domain::filter::{Field, Filter};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Lang, Text};
use crate::error::{Error, Result};
use crate::exchange::write::Format;
use crate::query::word::fields;
use crate::text;
use crate::tile::layer::Layer;

/// The query string, taken parameter by parameter.
#[derive(Clone, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<Fault>,
    /// The format asked for, which is nobody's parameter.
    format: Option<String>,
}

fn unread() -> Error {
    let detail = Text::new("查询串应为 名=值&名=值", "the query should be name=value&name=value");
    Error::syntax("?", detail)
}

impl FromRequestParts<Shared> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Params> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Ok(Query(mut pairs)) = pairs else {
            return Err(unread());
        };
        // The language is read with the headers, for errors too, and the key by the frame.
        let format = pairs.iter().find(|(name, _)| name == "f").map(|(_, f)| f.clone());
        pairs.retain(|(name, _)| name != "lang" && name != "f" && name != "key");
        Ok(Params {
            pairs,
            faults: Vec::new(),
            format,
        })
    }
}

impl Params {
    /// Of a query string that stands in a body.
    pub fn of(query: &str) -> Result<Params> {
        let uri: Uri = format!("/?{query}").parse().map_err(|_| unread())?;
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| unread())?;
        Ok(Params {
            pairs,
            ..Params::default()
        })
    }

    /// Of names and values that stand in a body.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Params {
        Params {
            pairs,
            ..Params::default()
        }
    }

    /// The text of a parameter; none where it is absent or empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(n, _)| n == name)?;
        let (_, value) = self.pairs.remove(at);
        if self.pairs.iter().any(|(n, _)| n == name) {
            self.pairs.retain(|(n, _)| n != name);
            self.faults
                .push(Fault::new(name, Text::new("只能给出一次", "can be given only once")));
        }
        if value.contains('\0') {
            self.faults.push(Fault::new(
                name,
                Text::new("不可含空字符", "cannot contain a NUL character"),
            ));
            return None;
        }
        (!value.is_empty()).then_some(value)
    }

    /// Takes out what is asked of something else to compare with: all the same, but for what `prefix` stands before, and for some that are
    /// asked of the one alone.
    pub fn split(&mut self, prefix: &str, own: &[&str]) -> Params {
        let (theirs, ours): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pairs)
            .into_iter()
            .partition(|(name, _)| name.starts_with(prefix));
        let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
        let theirs: Vec<(String, String)> = theirs.into_iter().map(|(name, value)| (bare(&name), value)).collect();
        let shared = ours
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()) && !theirs.iter().any(|(n, _)| n == name));
        let pairs = shared.cloned().chain(theirs.iter().cloned()).collect();
        self.pairs = ours;
        Params {
            pairs,
            ..Params::default()
        }
    }

    /// What is asked for, as people read it: every parameter that narrows a list.
    pub fn asked(&self) -> String {
        let kept = |(name, _): &&(String, String)| {
            !matches!(
                name.as_str(),
                "crs" | "names" | "encoding" | "sortby" | "limit" | "filter-lang"
            )
        };
        let parts: Vec<String> = self
            .pairs
            .iter()
            .filter(kept)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        parts.join("; ")
    }

    /// What was asked for, as it stands in an address: for a link to the same of something else.
    pub fn query(&self) -> Vec<String> {
        let pair = |(name, value): &(String, String)| format!("{}={}", percent(name), percent(value));
        self.pairs.iter().map(pair).collect()
    }

    /// Whether `f` asks for a page to print.
    pub fn wants_page(&self) -> bool {
        self.format.as_deref() == Some("html")
    }

    /// The file format that `f` asks for; none for a page of JSON.
    pub fn file_format(&mut self) -> Option<Format> {
        let wanted = self
            .format
            .take()
            .filter(|f| !matches!(f.as_str(), "" | "json" | "html"))?;
        Format::parse(&wanted).map_err(|e| self.fault("f", e)).ok()
    }

    /// A parameter read by `parse`.
    pub fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Text>) -> Option<T> {
        let value = self.text(name)?;
        match parse(&value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.faults.push(Fault::new(name, detail));
                None
            }
        }
    }

    /// The parts of a parameter between commas.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let value = self.text(name).unwrap_or_default();
        value
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The parts of a parameter between commas, each read by `parse`.
    pub fn each<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Text>) -> Vec<T> {
        let mut read = Vec::new();
        for word in self.list(name) {
            match parse(&word) {
                Ok(value) => read.push(value),
                Err(detail) => self.fault(name, detail),
            }
        }
        read
    }

    /// A whole number between two others.
    pub fn number(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        self.read(name, |s| {
            let n = s.parse().ok().filter(|n| (min..=max).contains(n));
            n.ok_or_else(|| {
                text!(
                    "“{s}”应为{min}至{max}的整数",
                    "\"{s}\" should be a whole number from {min} to {max}"
                )
            })
        })
    }

    /// A number of metres up to `max`.
    pub fn metres(&mut self, name: &str, max: f64) -> Option<f64> {
        self.read(name, |s| {
            let n = s.parse::<f64>().ok().filter(|n| (0.0..=max).contains(n));
            n.ok_or_else(|| text!("“{s}”应为0至{max}米", "\"{s}\" should be 0 to {max} metres"))
        })
    }

    /// Notes a fault of the caller's own.
    pub fn fault(&mut self, name: &str, detail: Text) {
        self.faults.push(Fault::new(name, detail));
    }

    /// Ends the reading: every fault at once, parameters that nobody asked for among them.
    pub fn finish(mut self) -> Result<()> {
        for (name, _) in &self.pairs {
            self.faults.push(Fault::new(
                name,
                Text::new("此处没有该参数", "there is no such parameter here"),
            ));
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Syntax(self.faults))
        }
    }
}

/// `filter` in CQL2 text, over properties that each of some layers has.
pub fn filter(params: &mut Params, layers: &[&Layer]) -> Option<Arc<Filter>> {
    params.read("filter-lang", |lang| match lang {
        "cql2-text" => Ok(()),
        _ => Err(text!(
            "过滤语言“{lang}”不支持，可用 cql2-text",
            "the filter language \"{lang}\" is not understood; cql2-text is"
        )),
    });
    let text = params.text("filter")?;
    let has = |field: &Field| layers.iter().all(|l| fields(l.source).contains(field));
    let shared: Vec<Field> = Field::ALL.iter().copied().filter(has).collect();
    match Filter::parse(&text, &shared) {
        Ok(filter) if filter == Filter::TRUE => None,
        Ok(filter) => Some(Arc::new(filter)),
        Err(faults) => {
            params.faults.extend(faults);
            None
        }
    }
}

/// What an answer with names and absolute links depends on.
pub const LINKED: &str = "accept-language, host, x-forwarded-proto, x-forwarded-host, x-forwarded-prefix";

/// The reader's language, and the address under which they see this service.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Language of names and errors.
    pub lang: Lang,
    /// `https://host[/prefix]` without a slash at its end.
    pub base: String,
}

/// The part of a request that its [`Ask`] is worked out from. It is cheap to take from every request, and most never need more.
#[derive(Debug)]
pub struct Asked {
    /// The address asked for.
    pub uri: Uri,
    language: Option<HeaderValue>,
    host: Option<HeaderValue>,
    forwarded: Forwarded,
}

/// What a proxy on this machine says of the request that it passes on.
#[derive(Debug, Default)]
struct Forwarded {
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
    prefix: Option<HeaderValue>,
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

impl Asked {
    /// From the head of a request.
    pub fn of(uri: &Uri, headers: &HeaderMap, extensions: &Extensions) -> Asked {
        let header = |name: HeaderName| headers.get(name).cloned();
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        // A request that came through no socket is a test's own, and as near as a proxy on this machine.
        let forwarded = match peer.is_none_or(|p| p.0.ip().is_loopback()) {
            true => Forwarded {
                proto: header(FORWARDED_PROTO),
                host: header(FORWARDED_HOST),
                prefix: header(FORWARDED_PREFIX),
            },
            false => Forwarded::default(),
        };
        Asked {
            uri: uri.clone(),
            language: header(ACCEPT_LANGUAGE),
            host: header(HOST),
            forwarded,
        }
    }

    /// The reader's language and this service's address.
    pub fn ask(&self, public_url: Option<&str>) -> Ask {
        fn text(header: &Option<HeaderValue>) -> Option<&str> {
            header.as_ref().and_then(|v| v.to_str().ok())
        }
        // Each proxy appends its own.
        fn first(header: &Option<HeaderValue>) -> Option<&str> {
            text(header).and_then(|v| v.split(',').next()).map(str::trim)
        }
        let query = self.uri.query();
        let asked = query.and_then(|q| q.split('&').find_map(|p| p.strip_prefix("lang=")));
        let lang = Lang::accepted(asked.or_else(|| text(&self.language)).unwrap_or(""));
        let base = match public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let Forwarded { proto, host, prefix } = &self.forwarded;
                let proto = first(proto).filter(|p| *p == "https").unwrap_or("http");
                let host = first(host).or_else(|| text(&self.host)).unwrap_or("localhost");
                let prefix = first(prefix).unwrap_or("").trim_end_matches('/');
                let plain = |s: &str| s.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_/[]~".contains(c));
                let host = if plain(host) { host } else { "localhost" };
                format!("{proto}://{host}{}", if plain(prefix) { prefix } else { "" })
            }
        };
        Ask { lang, base }
    }
}

impl FromRequestParts<Shared> for Ask {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Ask, Self::Rejection> {
        let asked = Asked::of(&parts.uri, &parts.headers, &parts.extensions);
        Ok(asked.ask(state.public_url.as_deref()))
    }
}

/// Who changes something: signed in or with a token, and allowed to edit. Refuses others, and those who change too much in too short
/// a time.
pub struct Caller(pub Arc<Grant>);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Caller> {
        let reader = Reader::from_request_parts(parts, state).await?;
        let grant = reader.grant().ok_or(Error::Unauthenticated)?.clone();
        if !grant.access.edits() {
            let access = grant.access.key();
            return Err(Error::Forbidden(text!(
                "您的权限为 {access}，不能编辑",
                "your access is {access}, which cannot edit"
            )));
        }
        if ![Method::GET, Method::HEAD].contains(&parts.method) {
            state.writes.take(&grant.name, 1).map_err(Error::TooMany)?;
        }
        Ok(Caller(grant))
    }
}
