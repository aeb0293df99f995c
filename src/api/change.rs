//! One edit of one component within a transaction: what a request, one of several edits and a proposal that is taken up all come down to.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value};

use super::Shared;
use super::draft;
use super::resource::absent;
use super::write::object_at;
use crate::domain::class::Class;
use crate::domain::component::Draft;
use crate::domain::grant::Grant;
use crate::domain::patch::{fields, merge};
use crate::domain::record::Component;
use crate::domain::text::{Fault, Text};
use crate::domain::word::State as Condition;
use crate::door::within;
use crate::error::{Error, Result};
use crate::query::matcher;
use crate::store::edit::{Edit, Patch};
use crate::store::page::{Detail, Version};
use crate::text;
use crate::tile::layer::Layer;

/// Which version an edit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// This one, and no other.
    Version(i64),
    /// Whichever is current, as far as the layer takes such edits.
    Unsaid,
    /// Whichever is current: somebody has looked at it.
    Any,
}

impl Seen {
    /// What `If-Match` says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Seen> {
        let Some(tag) = headers.get(header::IF_MATCH) else {
            return Ok(Seen::Unsaid);
        };
        let version = tag
            .to_str()
            .ok()
            .map(|t| t.trim().trim_start_matches("W/").trim_matches('"'));
        let version = version.and_then(|v| v.parse().ok()).ok_or_else(|| {
            Error::syntax(
                "If-Match",
                Text::new(
                    "应为读取时的 ETag，如 \"3\"",
                    "should be the ETag that was read, such as \"3\"",
                ),
            )
        })?;
        Ok(Seen::Version(version))
    }
}

/// What is done to a component.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It becomes what a feature says; what that does not name is empty.
    Replace(Map<String, Value>),
    /// It is changed by a JSON merge patch of a feature; what that does not name stays.
    Patch(Map<String, Value>),
    /// It is retired.
    Retire,
    /// It becomes what it was in a version, but for its parties.
    Restore(i64),
}

/// An edit of a component of a layer.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) layer: Arc<Layer>,
    pub(super) id: i64,
    pub(super) seen: Seen,
    pub(super) change: Change,
}

/// Adds a component. Answers its number.
pub(super) async fn add(
    app: &Shared,
    edit: &mut Edit,
    grant: &Grant,
    layer: &Layer,
    body: &Map<String, Value>,
) -> Result<i64> {
    let (draft, faults) = draft::read(app, &grant.rights, layer, body)?;
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    placed(app, grant, &draft, &[draft.authority, draft.owner, draft.maintainer])?;
    edit.add(&draft).await
}

/// Makes an edit, or says why it cannot be made. Whether it was made without saying which version it is of.
pub(super) async fn make(app: &Shared, edit: &mut Edit, grant: &Grant, wanted: &Wanted) -> Result<bool> {
    let id = wanted.id;
    // What is not moved stands where it stands, to the last digit.
    let moves = match &wanted.change {
        Change::Patch(body) => body.contains_key("geometry"),
        Change::Replace(_) | Change::Restore(_) => true,
        Change::Retire => false,
    };
    if let Change::Patch(body) = &wanted.change {
        let faults = draft::unwritable(body);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
    }
    if moves {
        edit.hold_cells().await?;
    }
    let (old, class) = lock(app, edit, grant, wanted).await?;
    let unsaid = match (&wanted.change, wanted.seen) {
        (_, Seen::Version(version)) if version != old.version => {
            return Err(Error::Stale {
                have: old.version,
                want: version,
            });
        }
        (Change::Patch(_), Seen::Unsaid) if wanted.layer.unconditional => true,
        (_, Seen::Unsaid) => return Err(Error::VersionRequired),
        _ => false,
    };
    if matches!(wanted.change, Change::Retire) {
        let retired = Patch {
            state: Some(Condition::Retired),
            ..Patch::default()
        };
        edit.patch(id, &retired).await?;
        return Ok(false);
    }
    let now = edit.detail(id).await?;
    let now = now.ok_or_else(|| absent(&wanted.layer, &id.to_string()))?;
    let (draft, faults) = match &wanted.change {
        Change::Replace(body) => draft::read(app, &grant.rights, &wanted.layer, body)?,
        Change::Restore(version) => restored(app, edit, grant, wanted, *version).await?,
        Change::Patch(_) | Change::Retire => {
            let empty = Map::new();
            let body = match &wanted.change {
                Change::Patch(body) => body,
                _ => &empty,
            };
            let mut whole = draft::current(&now, &class);
            if unsaid {
                met(edit, grant, id, &whole, body).await?;
                edit.mark_unconditional().await?;
            }
            merge(&mut whole, &Value::Object(body.clone()));
            let (mut draft, faults) = draft::read(app, &grant.rights, &wanted.layer, object_at(&whole, &empty))?;
            let named = body.get("properties").is_some_and(|p| p.get("part_of").is_some());
            draft.part_of = if named { draft.part_of } else { now.part_of };
            (draft, draft::of_patch(faults, body))
        }
    };
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    if moves {
        placed(app, grant, &draft, &old.parties())?;
    }
    edit.replace(id, &draft, moves).await?;
    Ok(unsaid)
}

/// Refuses what the caller may not edit.
pub(super) async fn may(app: &Shared, edit: &mut Edit, grant: &Grant, wanted: &Wanted) -> Result<()> {
    lock(app, edit, grant, wanted).await.map(drop)
}

/// Refuses a place outside of the caller's bounds.
fn placed(app: &Shared, grant: &Grant, draft: &Draft, parties: &[Option<i32>]) -> Result<()> {
    match geo::InteriorPoint::interior_point(&draft.geometry) {
        Some(at) => within(&app.index.read(), grant, at.x_y(), parties).map_err(Error::Forbidden),
        None => Ok(()),
    }
}

/// Locks a component of the layer that the caller may edit.
async fn lock(app: &Shared, edit: &mut Edit, grant: &Grant, wanted: &Wanted) -> Result<(Component, Arc<Class>)> {
    let none = || absent(&wanted.layer, &wanted.id.to_string());
    let old = edit.lock(wanted.id).await?.ok_or_else(none)?;
    let memory = app.index.read();
    let class = memory
        .classes
        .get(&old.class)
        .filter(|c| matcher::shows(&memory, &wanted.layer, c, &grant.rights))
        .cloned();
    let class = class.ok_or_else(none)?;
    within(&memory, grant, old.at, &old.parties()).map_err(Error::Forbidden)?;
    Ok((old, class))
}

/// What a component was in a version, checked as it would be if it were written today.
async fn restored(
    app: &Shared,
    edit: &mut Edit,
    grant: &Grant,
    wanted: &Wanted,
    version: i64,
) -> Result<(Draft, Vec<Fault>)> {
    let then = edit.detail_of_version(wanted.id, version).await?;
    let memory = app.index.read();
    let class = then.as_ref().and_then(|d| memory.classes.get(&d.class)).cloned();
    let seen = class.filter(|c| grant.rights.sees(c));
    let Some((then, class)) = then.zip(seen) else {
        let detail = text!("没有第 {version} 版", "there is no version {version}");
        return Err(Error::Invalid(vec![Fault::new("/version", detail)]));
    };
    let whole = draft::current(&then, &class);
    let empty = Map::new();
    let (mut draft, faults) = draft::read(app, &grant.rights, &wanted.layer, object_at(&whole, &empty))?;
    draft.part_of = then.part_of;
    Ok((draft, faults))
}

/// How long another person's edit of a field stands against one that does not say which version it is of.
const RECENT: TimeDelta = TimeDelta::hours(24);
/// Versions that are looked at.
const MAX_RECENT: i64 = 200;

/// Refuses a patch of a field that another person has changed of late to something else, naming both values.
async fn met(edit: &mut Edit, grant: &Grant, id: i64, whole: &Value, body: &Map<String, Value>) -> Result<()> {
    let versions = edit.versions(id, MAX_RECENT).await?;
    let mut patched = whole.clone();
    merge(&mut patched, &Value::Object(body.clone()));
    let since = Utc::now() - RECENT;
    let mut faults = Vec::new();
    for pointer in fields(body) {
        let (theirs, ours) = (whole.pointer(&pointer), patched.pointer(&pointer));
        if theirs == ours {
            continue;
        }
        let of = |v: &Version| value_of(&v.detail, &pointer);
        let changed = versions.windows(2).find(|w| of(&w[0]) != of(&w[1])).map(|w| &w[0]);
        let other =
            changed.filter(|v| v.recorded.is_none_or(|at| at > since) && v.actor.as_deref() != Some(&grant.name));
        let Some(other) = other else { continue };
        let (who, no) = (other.actor.as_deref().unwrap_or_default(), other.detail.version);
        let said = |v: Option<&Value>| v.cloned().unwrap_or(Value::Null).to_string();
        let (theirs, ours) = (said(theirs), said(ours));
        let detail = text!(
            "{who} 在第 {no} 版改为 {theirs}，您要改为 {ours}",
            "{who} made it {theirs} in version {no}, you would make it {ours}"
        );
        faults.push(Fault::new(pointer, detail));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Clash { faults, proposal: None })
    }
}

/// What a version says at a pointer of a feature's body.
fn value_of(detail: &Detail, pointer: &str) -> Option<Value> {
    match pointer {
        "/properties/class" | "/properties/class_scheme" => Some(detail.class.into()),
        _ => draft::values(detail).pointer(pointer).cloned(),
    }
}
