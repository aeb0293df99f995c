//! `/session`: signing in and out, and changing the password.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::Shared;
use super::extract::Ask;
use super::reader::{COOKIE_NAME, Reader, cookie, csrf};
use super::write::object;
use crate::audit::Act;
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Text};
use crate::door;
use crate::error::{Error, Result};
use crate::store::token::{Credential, Kind, secret};

/// The routes of sessions.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/session", get(show).post(sign_in).delete(sign_out))
        .route("/session/password", post(password))
}

/// The longest name or password that is looked at.
const MAX_TEXT: usize = 1000;

/// `GET`: who is signed in, and whether one must be to see more than public layers.
async fn show(State(app): State<Shared>, reader: Reader, headers: HeaderMap) -> Response {
    let mut body = match reader.grant() {
        Some(grant) => who(&app, grant),
        None => json!({"name": null}),
    };
    body["must_sign_in"] = reader.must_sign_in().into();
    if reader.credential().is_some_and(|c| c.kind == Kind::Session) {
        body["csrf"] = cookie(&headers).map(csrf).into();
    }
    ([(header::CACHE_CONTROL, "private, no-store")], Json(body)).into_response()
}

fn who(app: &Shared, grant: &Grant) -> Value {
    let memory = app.index.read();
    let party = grant.party.and_then(|id| memory.parties.get(&id));
    let area = grant.area.and_then(|id| memory.areas.what(id));
    json!({
        "name": grant.name, "access": grant.access.key(), "party": party.map(|p| &p.name), "area": area.map(|a| &a.code),
        "must_change": grant.must_change,
    })
}

fn text<'b>(body: &'b Map<String, Value>, name: &str, faults: &mut Vec<Fault>) -> &'b str {
    let text = body.get(name).and_then(Value::as_str).filter(|s| s.len() <= MAX_TEXT);
    if text.is_none() {
        faults.push(Fault::new(format!("/{name}"), Text::new("应为文本", "should be text")));
    }
    text.unwrap_or_default()
}

/// `POST`: name and password become a cookie. What was wrong is not said: who tries names learns nothing.
async fn sign_in(State(app): State<Shared>, ask: Ask, reader: Reader, body: Bytes) -> Result<Response> {
    let body = object(&body)?;
    let mut faults = Vec::new();
    let name = text(&body, "name", &mut faults).to_owned();
    let given = text(&body, "password", &mut faults).to_owned();
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let place = reader.place();
    app.sign_ins.take(&place, 0).map_err(Error::TooMany)?;
    let lock = app.store.account_lock(&name).await?;
    let phc = lock.as_ref().map(|l| l.password.clone());
    let fits = app.work.run(move || door::verify(&given, phc.as_deref())).await?;
    let account = match lock {
        Some(lock) if fits && !lock.shut => lock.id,
        lock => {
            // Whether this one still counts is not told either.
            let _ = app.sign_ins.take(&place, 1);
            if let Some(lock) = lock.filter(|l| !l.shut) {
                app.store.sign_in_failed(lock.id).await?;
            }
            app.audit.note(Act::SignInFailed, &name, &reader.peer(), "/session");
            return Err(Error::SignIn);
        }
    };
    let secret = secret(Kind::Session)?;
    let credential = Credential::of(Kind::Session, &secret);
    app.store.begin_session(account, &credential).await?;
    let grant = app.door.grant(&credential).await?.ok_or(Error::SignIn)?;
    app.audit.note(Act::SignIn, &name, &reader.peer(), "/session");
    let mut body = who(&app, &grant);
    body["csrf"] = csrf(&secret).into();
    body["must_sign_in"] = false.into();
    Ok(with_cookie(&ask, &secret, "", Json(body).into_response()))
}

/// An answer that sets the cookie.
fn with_cookie(ask: &Ask, secret: &str, age: &str, mut response: Response) -> Response {
    let secure = if ask.base.starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!("{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Strict{age}{secure}");
    let headers = response.headers_mut();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// `DELETE`: the session ends, on every node.
async fn sign_out(State(app): State<Shared>, ask: Ask, reader: Reader) -> Result<Response> {
    if let Some(credential) = reader.credential().filter(|c| c.kind == Kind::Session) {
        let mut edit = app.store.edit(reader.name(), None).await?;
        edit.end_session(credential).await?;
        app.feed.commit(edit).await?;
        app.audit.note(Act::SignOut, reader.name(), &reader.peer(), "/session");
    }
    Ok(with_cookie(
        &ask,
        "",
        "; Max-Age=0",
        StatusCode::NO_CONTENT.into_response(),
    ))
}

/// `POST`: a new password for the old one; every other session of the account ends.
async fn password(State(app): State<Shared>, reader: Reader, body: Bytes) -> Result<Response> {
    let session = reader.credential().filter(|c| c.kind == Kind::Session).copied();
    let session = session.ok_or(Error::Unauthenticated)?;
    let body = object(&body)?;
    let mut faults = Vec::new();
    let old = text(&body, "old", &mut faults).to_owned();
    let new = text(&body, "new", &mut faults).to_owned();
    if let Some(fault) = door::fault_of(&new, reader.name(), &old).filter(|_| faults.is_empty()) {
        faults.push(Fault::new("/new", fault));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let place = reader.place();
    app.sign_ins.take(&place, 0).map_err(Error::TooMany)?;
    let lock = app.store.account_lock(reader.name()).await?.ok_or(Error::SignIn)?;
    let work = move || door::verify(&old, Some(&lock.password)).then(|| door::hash(&new));
    let Some(hashed) = app.work.run(work).await? else {
        let _ = app.sign_ins.take(&place, 1);
        app.store.sign_in_failed(lock.id).await?;
        app.audit
            .note(Act::SignInFailed, reader.name(), &reader.peer(), "/session/password");
        let detail = Text::new("旧密码不对", "the old password is wrong");
        return Err(Error::Invalid(vec![Fault::new("/old", detail)]));
    };
    let mut edit = app.store.edit(reader.name(), None).await?;
    edit.set_password(reader.name(), &hashed?, false, Some(&session))
        .await?;
    app.feed.commit(edit).await?;
    app.audit
        .note(Act::Password, reader.name(), &reader.peer(), "/session/password");
    Ok(StatusCode::NO_CONTENT.into_response())
}
