//! `/processes`, `/jobs`: OGC API - Processes. A process takes as its inputs what the address of the same question takes as parameters;
//! asked with `Prefer: respond-async` it is a job that can be looked at, dismissed, and come back for.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::Shared;
use super::coverage::{prepare, prepare_blind};
use super::extract::{Ask, Params};
use super::job::{Job, Status};
use super::motion::unknown;
use super::reader::Reader;
use super::work::Progress;
use super::write::object;
use super::{problem, siting};
use crate::coverage::{rules, stopped};
use crate::domain::text::{Fault, Text};
use crate::error::{Error, Result};
use crate::text;

/// The routes of processes and jobs.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/processes", get(list))
        .route("/processes/{id}", get(describe))
        .route("/processes/{id}/execution", post(execute))
        .route("/jobs", get(jobs))
        .route("/jobs/{id}", get(status).delete(dismiss))
        .route("/jobs/{id}/results", get(results))
}

const CORE: &str = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/";
/// What of the standard is kept to.
const CONFORMANCE: [&str; 5] = ["core", "ogc-process-description", "json", "job-list", "dismiss"];

/// An input: name, JSON Schema, titles. The first one of each process must be given.
type Input = (&'static str, &'static str, &'static str, &'static str);

const SHARED: [Input; 8] = [
    ("rule", r#"{"type": "string"}"#, "规则", "The rule"),
    (
        "radius",
        r#"{"type": "number", "minimum": 1, "maximum": 20000}"#,
        "统一半径（米）",
        "One radius in metres instead of the rule's",
    ),
    (
        "state",
        r#"{"type": "array", "items": {"type": "string"}}"#,
        "计入的状态",
        "States that count",
    ),
    (
        "filter",
        r#"{"type": "string"}"#,
        "计入的设施（CQL2）",
        "Which facilities count, as CQL2 text",
    ),
    ("denominator", r#"{"type": "string"}"#, "分母", "The denominator"),
    ("within-area", r#"{"type": "string"}"#, "区划代码", "Code of an area"),
    ("datetime", r#"{"type": "string"}"#, "登记时间", "As recorded then"),
    (
        "scenario",
        r#"{"type": "integer", "minimum": 1}"#,
        "方案编号",
        "Number of a scenario",
    ),
];
const COVERAGE: [Input; 2] = [
    (
        "by",
        r#"{"type": "string", "enum": ["cell", "community", "street", "district"]}"#,
        "分组",
        "Groups",
    ),
    (
        "limit",
        r#"{"type": "integer", "minimum": 1, "maximum": 10000}"#,
        "盲区个数上限",
        "Blind spots at most",
    ),
];
const SITING: [Input; 11] = [
    (
        "sites",
        r#"{"type": "integer", "minimum": 1, "maximum": 500}"#,
        "建几处",
        "How many sites",
    ),
    (
        "rate",
        r#"{"type": "number", "minimum": 0, "maximum": 1}"#,
        "达到多少",
        "The rate to reach",
    ),
    (
        "on",
        r#"{"type": "array", "items": {"type": "string"}}"#,
        "可建用地类别",
        "Kinds of land that may be built on",
    ),
    (
        "on-code",
        r#"{"type": "array", "items": {"type": "string"}}"#,
        "可建用地代码",
        "Land-use codes that may be built on",
    ),
    (
        "wider",
        r#"{"type": "number", "minimum": 1, "maximum": 1000}"#,
        "地块宽度超过（米）",
        "Parcels wider than so many metres",
    ),
    (
        "along",
        r#"{"type": "array", "items": {"type": "string", "enum": ["roads", "water"]}}"#,
        "沿道路或水体",
        "Parcels along roads or water",
    ),
    (
        "along-within",
        r#"{"type": "number", "minimum": 0, "maximum": 500}"#,
        "沿线距离（米）",
        "No farther from those than so many metres",
    ),
    (
        "step",
        r#"{"type": "number", "minimum": 20, "maximum": 5000}"#,
        "网格间距（米）",
        "Metres of a lattice on it",
    ),
    (
        "points",
        r#"{"type": "string"}"#,
        "候选点",
        "Candidates, lon,lat;lon,lat",
    ),
    (
        "weight",
        r#"{"type": "string", "enum": ["area", "people"]}"#,
        "权重",
        "What is to be gained",
    ),
    (
        "seconds",
        r#"{"type": "integer", "minimum": 0, "maximum": 20}"#,
        "求解时限（秒）",
        "Seconds for the optimum",
    ),
];

/// A process: name, titles, its own inputs, its outputs.
struct Process {
    id: &'static str,
    title: (&'static str, &'static str),
    inputs: &'static [Input],
    outputs: &'static [(&'static str, &'static str, &'static str)],
}

const PROCESSES: [Process; 2] = [
    Process {
        id: "coverage",
        title: ("服务半径覆盖与盲区", "Coverage and blind spots"),
        inputs: &COVERAGE,
        outputs: &[("figures", "指标", "Figures"), ("blind", "盲区", "Blind spots")],
    },
    Process {
        id: "siting",
        title: ("选址", "Where to build next"),
        inputs: &SITING,
        outputs: &[("sites", "选址结果", "The chosen sites")],
    },
];

fn process(id: &str) -> Result<&'static Process> {
    PROCESSES.iter().find(|p| p.id == id).ok_or_else(|| {
        Error::NotFound(text!(
            "没有处理“{id}”；已有 coverage, siting",
            "there is no process \"{id}\"; there are coverage and siting"
        ))
    })
}

fn summary(p: &Process, ask: &Ask) -> Value {
    let (id, base) = (p.id, &ask.base);
    json!({
        "id": id, "title": ask.lang.pick(p.title.0, p.title.1), "version": env!("CARGO_PKG_VERSION"),
        "jobControlOptions": ["sync-execute", "async-execute", "dismiss"], "outputTransmission": ["value"],
        "links": [
            {"rel": "self", "href": format!("{base}/processes/{id}"), "type": "application/json"},
            {"rel": "http://www.opengis.net/def/rel/ogc/1.0/execute", "href": format!("{base}/processes/{id}/execution")},
        ],
    })
}

async fn list(State(_): State<Shared>, ask: Ask, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let all: Vec<Value> = PROCESSES.iter().map(|p| summary(p, &ask)).collect();
    let conforms = CONFORMANCE.map(|c| format!("{CORE}{c}"));
    let own = json!({"rel": "self", "href": format!("{}/processes", ask.base), "type": "application/json"});
    let jobs = json!({"rel": "http://www.opengis.net/def/rel/ogc/1.0/job-list", "href": format!("{}/jobs", ask.base), "type": "application/json"});
    Ok(Json(
        json!({"processes": all, "conformsTo": conforms, "links": [own, jobs]}),
    ))
}

async fn describe(State(_): State<Shared>, ask: Ask, params: Params, Path(id): Path<String>) -> Result<Json<Value>> {
    params.finish()?;
    let p = process(&id)?;
    let input = |(n, (name, schema, zh, en)): (usize, &Input)| -> Result<(String, Value)> {
        let mut schema: Value = serde_json::from_str(schema).map_err(Error::internal)?;
        if *name == "rule" {
            schema["enum"] = rules::all().iter().map(|r| json!(r.id)).collect();
        }
        let least = usize::from(n == 0);
        Ok((
            (*name).to_owned(),
            json!({"title": ask.lang.pick(*zh, *en), "schema": schema, "minOccurs": least, "maxOccurs": 1}),
        ))
    };
    let inputs = SHARED.iter().chain(p.inputs).enumerate().map(input);
    let output = |(name, zh, en): &(&str, &str, &str)| {
        let schema = json!({"type": "object"});
        (
            (*name).to_owned(),
            json!({"title": ask.lang.pick(*zh, *en), "schema": schema}),
        )
    };
    let mut out = summary(p, &ask);
    if let Some(out) = out.as_object_mut() {
        out.insert("inputs".to_owned(), Value::Object(inputs.collect::<Result<_>>()?));
        out.insert(
            "outputs".to_owned(),
            Value::Object(p.outputs.iter().map(output).collect()),
        );
    }
    Ok(Json(out))
}

/// What is to be executed.
struct Wanted {
    rule: String,
    params: Params,
    outputs: Vec<&'static str>,
    /// The one output itself, and no document about it.
    raw: bool,
}

fn wanted(p: &Process, body: &[u8]) -> Result<Wanted> {
    let body = object(body)?;
    let mut faults = unknown(&body, &["inputs", "outputs", "response"]);
    let empty = Map::new();
    let inputs = body.get("inputs").and_then(Value::as_object).unwrap_or(&empty);
    let mut pairs = Vec::new();
    for (name, value) in inputs {
        let at = format!("/inputs/{name}");
        let word = |v: &Value| match v {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            _ => None,
        };
        let text = match value {
            Value::Array(all) => all
                .iter()
                .map(word)
                .collect::<Option<Vec<_>>>()
                .map(|all| all.join(",")),
            one => word(one),
        };
        if !SHARED.iter().chain(p.inputs).any(|(known, ..)| known == name) {
            faults.push(Fault::new(at, Text::new("没有此输入", "there is no such input")));
        } else if let Some(text) = text {
            pairs.push((name.clone(), text));
        } else {
            let detail = Text::new(
                "应为文本、数字，或其数组",
                "should be text, a number, or an array of them",
            );
            faults.push(Fault::new(at, detail));
        }
    }
    let rule = pairs
        .iter()
        .position(|(name, _)| name == "rule")
        .map(|at| pairs.remove(at).1);
    if rule.is_none() {
        faults.push(Fault::new("/inputs/rule", Text::new("须给出", "is needed")));
    }
    let all = p.outputs.iter().map(|(name, ..)| *name);
    let outputs: Vec<&str> = match body.get("outputs").and_then(Value::as_object) {
        None => all.collect(),
        Some(some) => {
            for name in some.keys().filter(|name| !all.clone().any(|known| known == *name)) {
                let detail = Text::new("没有此输出", "there is no such output");
                faults.push(Fault::new(format!("/outputs/{name}"), detail));
            }
            all.filter(|name| some.contains_key(*name)).collect()
        }
    };
    let raw = match body.get("response").map(Value::as_str) {
        None | Some(Some("document")) => false,
        Some(Some("raw")) if outputs.len() == 1 => true,
        _ => {
            let detail = Text::new(
                "应为 document；只要一项输出时可为 raw",
                "should be document, or raw for one output",
            );
            faults.push(Fault::new("/response", detail));
            false
        }
    };
    match rule {
        Some(rule) if faults.is_empty() => Ok(Wanted {
            rule,
            params: Params::of_pairs(pairs),
            outputs,
            raw,
        }),
        _ => Err(Error::Invalid(faults)),
    }
}

type Doing = Box<dyn FnOnce(&Progress) -> Result<String> + Send>;

/// What is to be done, once all of it has been read.
async fn prepared(app: &Shared, ask: &Ask, reader: &Reader, p: &Process, wanted: Wanted) -> Result<Doing> {
    let Wanted {
        rule,
        params,
        outputs,
        raw,
    } = wanted;
    let document = move |all: Vec<(&str, Value)>| match all {
        mut one if raw => one.pop().map(|(_, v)| v.to_string()).unwrap_or_default(),
        all => Value::Object(all.into_iter().map(|(name, v)| (name.to_owned(), v)).collect()).to_string(),
    };
    if p.id == "siting" {
        let make = siting::prepare(app, ask, reader, params, &rule).await?;
        return Ok(Box::new(move |progress| {
            Ok(document(vec![("sites", make(progress)?.collection())]))
        }));
    }
    let (mut own, mut figures) = (params.clone(), params);
    own.text("by");
    figures.text("limit");
    let blind = prepare_blind(app, ask, reader, own, &rule).await?;
    let figured = prepare(app, ask, reader, figures, &rule).await?;
    Ok(Box::new(move |progress| {
        let wants = |name: &str| outputs.contains(&name);
        let mut all = Vec::new();
        if wants("figures") {
            all.push(("figures", figured(progress)?));
        }
        if wants("blind") {
            all.push(("blind", blind(progress)?.collection()));
        }
        Ok(document(all))
    }))
}

async fn execute(
    State(app): State<Shared>,
    ask: Ask,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let p = process(&id)?;
    let wanted = wanted(p, &body)?;
    let doing = prepared(&app, &ask, &reader, p, wanted).await?;
    let prefer = headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
    let later = prefer.flat_map(|v| v.split(',')).any(|v| v.trim() == "respond-async");
    if !later {
        let body = app.analyses.run_while_wanted(doing).await??;
        return Ok(json_answer(body).into_response());
    }
    let job = app.jobs.add(p.id, &reader)?;
    let (own, shared) = (job.clone(), app.clone());
    tokio::spawn(async move {
        let running = own.clone();
        let work = move || {
            // Dismissed while it waited, it does not begin.
            if running.status() == Status::Accepted {
                running.begin();
                return doing(&running.progress);
            }
            Err(stopped())
        };
        let done = tokio::select! {
            done = shared.analyses.run(work) => done.and_then(|r| r),
            () = own.dismissed.notified() => Err(stopped()),
        };
        own.end(done);
        shared.jobs.bound();
    });
    let href = format!("{}/jobs/{}", ask.base, job.id);
    let headers = [
        (header::LOCATION, href),
        (
            header::HeaderName::from_static("preference-applied"),
            "respond-async".to_owned(),
        ),
    ];
    Ok((StatusCode::CREATED, headers, Json(shown(&job, &ask))).into_response())
}

fn json_answer(body: String) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    (headers, body)
}

fn shown(job: &Job, ask: &Ask) -> Value {
    let (id, status, base) = (&job.id, job.status(), &ask.base);
    let failed = job.ended().and_then(|(_, r)| r.as_ref().err());
    let failed = failed
        .filter(|_| status == Status::Failed)
        .map(|e| problem::told(e, ask));
    let mut links = vec![json!({"rel": "self", "href": format!("{base}/jobs/{id}"), "type": "application/json"})];
    if status == Status::Successful {
        let results = "http://www.opengis.net/def/rel/ogc/1.0/results";
        links.push(json!({"rel": results, "href": format!("{base}/jobs/{id}/results"), "type": "application/json"}));
    }
    let per_cent = if status == Status::Successful {
        100
    } else {
        job.progress.per_cent()
    };
    json!({
        "jobID": id, "processID": job.process, "type": "process", "status": status.key(), "progress": per_cent,
        "message": failed.as_ref().map(|p| p["detail"].clone()), "exception": failed,
        "created": job.created, "started": job.started(), "finished": job.ended().map(|(at, _)| *at), "links": links,
    })
}

fn none(id: &str) -> Error {
    Error::NotFound(text!(
        "没有任务 {id}：已取消、已过期，或属于他人",
        "there is no job {id}: it was dismissed, is too old, or is another's"
    ))
}

async fn jobs(State(app): State<Shared>, ask: Ask, reader: Reader, params: Params) -> Result<Json<Value>> {
    params.finish()?;
    let all: Vec<Value> = app.jobs.of(&reader).iter().map(|j| shown(j, &ask)).collect();
    let own = json!({"rel": "self", "href": format!("{}/jobs", ask.base), "type": "application/json"});
    Ok(Json(json!({"jobs": all, "links": [own]})))
}

async fn status(State(app): State<Shared>, ask: Ask, reader: Reader, Path(id): Path<String>) -> Result<Response> {
    let job = app.jobs.get(&id, &reader).ok_or_else(|| none(&id))?;
    Ok(([(header::CACHE_CONTROL, "private, no-store")], Json(shown(&job, &ask))).into_response())
}

async fn results(State(app): State<Shared>, reader: Reader, Path(id): Path<String>) -> Result<Response> {
    let job = app.jobs.get(&id, &reader).ok_or_else(|| none(&id))?;
    match job.ended() {
        Some((_, Ok(body))) => Ok(json_answer(body.clone()).into_response()),
        Some((_, Err(e))) => Ok(problem::answer(e)),
        None => Err(Error::NotFound(text!(
            "任务 {id} 尚未完成",
            "job {id} has no results yet"
        ))),
    }
}

/// `DELETE`: stops it if it is under way, and forgets it.
async fn dismiss(State(app): State<Shared>, ask: Ask, reader: Reader, Path(id): Path<String>) -> Result<Json<Value>> {
    let job = app.jobs.get(&id, &reader).ok_or_else(|| none(&id))?;
    job.progress.stop();
    job.dismissed.notify_one();
    app.jobs.forget(&id);
    let mut out = shown(&job, &ask);
    out["status"] = json!(Status::Dismissed.key());
    out["links"] = json!([]);
    Ok(Json(out))
}
