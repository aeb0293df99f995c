//! Errors on the wire: RFC 9457 `application/problem+json`. The only file that knows an HTTP status for each error.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::extract::{Ask, Asked, LINKED};
use super::{App, Shared};
use crate::domain::text::{Fault, Text};
use crate::error::Error;

/// Every code, its status, and its title in Chinese and English. A snapshot test prints it.
pub const TABLE: &[(&str, StatusCode, &str, &str)] = &[
    (
        "bad-syntax",
        StatusCode::BAD_REQUEST,
        "请求无法读懂",
        "The request cannot be read",
    ),
    (
        "unauthenticated",
        StatusCode::UNAUTHORIZED,
        "须登录",
        "It takes signing in",
    ),
    ("forbidden", StatusCode::FORBIDDEN, "权限不足", "This is not allowed"),
    (
        "not-found",
        StatusCode::NOT_FOUND,
        "没有此内容",
        "There is no such thing",
    ),
    (
        "method-not-allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "此地址不支持该方法",
        "This address does not take that method",
    ),
    (
        "conflict",
        StatusCode::CONFLICT,
        "与已有内容冲突",
        "It clashes with what is there",
    ),
    (
        "stale",
        StatusCode::PRECONDITION_FAILED,
        "已被他人修改",
        "It has been edited since",
    ),
    (
        "too-large",
        StatusCode::PAYLOAD_TOO_LARGE,
        "超出上限",
        "It is larger than the limit",
    ),
    (
        "unsupported",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "不支持的内容类型",
        "This content type is not taken",
    ),
    (
        "invalid",
        StatusCode::UNPROCESSABLE_ENTITY,
        "内容不合规则",
        "The content breaks a rule",
    ),
    (
        "version-required",
        StatusCode::PRECONDITION_REQUIRED,
        "须注明所编辑的版本",
        "The edited version must be named",
    ),
    (
        "too-many",
        StatusCode::TOO_MANY_REQUESTS,
        "过于频繁",
        "Too many in too short a time",
    ),
    (
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        "服务内部错误",
        "The service failed",
    ),
    (
        "busy",
        StatusCode::SERVICE_UNAVAILABLE,
        "服务繁忙",
        "The service is busy",
    ),
];

/// What the handlers' error becomes once the reader's language is known.
#[derive(Clone, Debug)]
struct Pending {
    code: &'static str,
    detail: Text,
    faults: Vec<Fault>,
    /// Seconds.
    retry_after: Option<u64>,
}

fn wire(error: &Error) -> Pending {
    let plain = |code, detail: Text| Pending {
        code,
        detail,
        faults: Vec::new(),
        retry_after: None,
    };
    match error {
        Error::Syntax(faults) => Pending {
            code: "bad-syntax",
            detail: Text::new("请求中有无法读懂的内容", "some of the request cannot be read"),
            faults: faults.clone(),
            retry_after: None,
        },
        Error::Invalid(faults) => Pending {
            code: "invalid",
            detail: Text::new("以下各项须改正", "each of the following must be mended"),
            faults: faults.clone(),
            retry_after: None,
        },
        Error::NotFound(t) => plain("not-found", t.clone()),
        Error::Conflict(t) => plain("conflict", t.clone()),
        Error::Stale { have, want } => plain(
            "stale",
            crate::text!(
                "您编辑的是第{want}版，当前为第{have}版；请重新读取后再改",
                "you edited version {want}, but version {have} is current; read it again and repeat the edit"
            ),
        ),
        Error::Clash { faults, proposal } => Pending {
            code: "conflict",
            detail: match proposal {
                Some(no) => crate::text!(
                    "另有人在 24 小时内改过同一字段；您的修改已留作第 {no} 号提案（GET /proposals/{no}）",
                    "another person has changed the same field within 24 hours; yours is kept as proposal {no} (GET /proposals/{no})"
                ),
                None => Text::new(
                    "另有人在 24 小时内改过同一字段",
                    "another person has changed the same field within 24 hours",
                ),
            },
            faults: faults.clone(),
            retry_after: None,
        },
        Error::VersionRequired => plain(
            "version-required",
            Text::new(
                "请以 If-Match 给出所编辑的版本，如 If-Match: \"3\"",
                "send the version you edit as If-Match, such as If-Match: \"3\"",
            ),
        ),
        Error::Unauthenticated => plain(
            "unauthenticated",
            Text::new(
                "请登录（POST /session），或以 Authorization: Bearer 给出令牌（lamppost token new）",
                "sign in (POST /session), or send a token as Authorization: Bearer (lamppost token new)",
            ),
        ),
        Error::SignIn => plain(
            "unauthenticated",
            Text::new(
                "账号或密码不对，或账号已停用；连续输错 5 次将锁定 15 分钟",
                "the name or the password is wrong, or the account is disabled; after 5 wrong passwords it is locked for 15 minutes",
            ),
        ),
        Error::TooMany(wait) => {
            let seconds = wait.as_secs() + 1;
            Pending {
                retry_after: Some(seconds),
                ..plain(
                    "too-many",
                    crate::text!("请在{seconds}秒后再试", "try again in {seconds} s"),
                )
            }
        }
        Error::Forbidden(t) => plain("forbidden", t.clone()),
        Error::TooLarge(t) => plain("too-large", t.clone()),
        Error::Busy(t) => plain("busy", t.clone()),
        Error::Setup(_) | Error::Internal(_) => {
            plain("internal", Text::new("错误已记入日志", "the failure has been logged"))
        }
    }
}

/// An error as one of several things that an answer tells.
pub(super) fn told(error: &Error, ask: &Ask) -> Value {
    if let Error::Internal(e) = error {
        tracing::error!(error = ?e, "a part of a request failed");
    }
    wire_body(&wire(error), ask)
}

fn status(code: &str) -> StatusCode {
    TABLE
        .iter()
        .find(|row| row.0 == code)
        .map_or(StatusCode::INTERNAL_SERVER_ERROR, |row| row.1)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Error::Internal(e) = &self {
            tracing::error!(error = ?e, "a request failed");
        }
        answer(&self)
    }
}

/// An error as an answer of its own.
pub(super) fn answer(error: &Error) -> Response {
    let pending = wire(error);
    let mut response = status(pending.code).into_response();
    response.extensions_mut().insert(pending);
    response
}

/// Writes the body of every error in the reader's language, also of those that axum itself answers.
pub fn render(app: &App, asked: &Asked, mut response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let ask = asked.ask(app.public_url.as_deref());
    let path = asked.uri.path();
    let foreign = || {
        let row = TABLE.iter().find(|row| row.1 == status);
        let detail = match status {
            StatusCode::NOT_FOUND => crate::text!("没有地址 {path}", "there is no address {path}"),
            _ => Text::new("见标题", "see the title"),
        };
        row.map(|row| Pending {
            code: row.0,
            detail,
            faults: Vec::new(),
            retry_after: None,
        })
    };
    let Some(pending) = response.extensions_mut().remove::<Pending>().or_else(foreign) else {
        return response;
    };
    let mut out = Json(wire_body(&pending, &ask)).into_response();
    *out.status_mut() = status;
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            out.headers_mut().insert(name.clone(), value.clone());
        }
    }
    let headers = out.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(ask.lang.tag()));
    headers.append(header::VARY, HeaderValue::from_static(LINKED));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(seconds) = pending.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    out
}

fn wire_body(pending: &Pending, ask: &Ask) -> Value {
    let lang = ask.lang;
    let row = TABLE.iter().find(|row| row.0 == pending.code);
    let mut out = json!({
        "type": format!("{}/problems/{}", ask.base, pending.code),
        "title": row.map(|row| lang.pick(row.2, row.3)),
        "status": status(pending.code).as_u16(),
        "detail": pending.detail.get(lang),
    });
    if !pending.faults.is_empty() {
        let faults: Vec<Value> = pending
            .faults
            .iter()
            .map(|f| {
                let place = if f.pointer.starts_with('/') {
                    "pointer"
                } else {
                    "parameter"
                };
                json!({place: f.pointer, "detail": f.detail.get(lang)})
            })
            .collect();
        out["errors"] = faults.into();
    }
    out
}

/// `/problems/{code}`: what a `type` means.
pub fn router() -> Router<Shared> {
    Router::new().route("/problems/{code}", get(explain))
}

async fn explain(State(_): State<std::sync::Arc<App>>, Path(code): Path<String>) -> Result<Json<Value>, Error> {
    let row = TABLE.iter().find(|row| row.0 == code);
    let (code, status, zh, en) =
        row.ok_or_else(|| Error::NotFound(crate::text!("没有错误代码 {code}", "there is no problem {code}")))?;
    Ok(Json(
        json!({"type": format!("/problems/{code}"), "status": status.as_u16(), "title": {"zh": zh, "en": en}}),
    ))
}
