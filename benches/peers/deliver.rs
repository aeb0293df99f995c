//! How fast a million rows go in, beside what raw COPY into the same table takes, and how quick tiles are meanwhile.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::http::{Connection, get};
use crate::node::{self, City, Node};
use crate::process::{Process, memory};
use crate::report::{doing, figure, quantile, short, target};
use crate::tiles::ours;
use crate::{Result, Settings, writer};

/// Points in every cell of the demo city, spread over four classes so that serials suffice; `$1` is the digit by which two deliveries differ.
const ROWS: &str = "copy (
  with each as (select ceil(:rows::float8 / count(*))::int as n from cell),
  p as (
    select row_number() over () as no, left(c.code, 6) as district, d.geom
    from cell c, each, st_dump(st_generatepoints(c.geom, each.n, :seed)) d
  )
  select ':seed-' || no as key, round(st_x(geom)::numeric, 7) as lon, round(st_y(geom)::numeric, 7) as lat, k as class,
    case when no % 50 = 0 then 'damaged' else 'intact' end as state, 'owner ' || no % 40 as owner, 'lamp ' || no as name,
    district || k || lpad((:seed * 250000 - 190000 + row_number() over (partition by district, k order by no))::text, 6, '0') as code
  from p, lateral (select (array['0118', '0301', '0407', '0501'])[1 + no % 4] as k) k
  order by no limit :rows) to stdout (format csv, header)";

const MAPPING: &str = r#"
source = "bench"
key = "key"
x = "lon"
y = "lat"
class = { column = "class", scheme = "CJT214-2007" }
state = { column = "state" }
owner = { column = "owner", create = true }
[fields]
code = { column = "code", scheme = "CJT214-2007" }
name = "name"
"#;

/// Takes three deliveries in: by command alone, by command beside a reader of tiles, over HTTP beside one; then copies as many rows.
pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let dir = settings.work.join("delivered");
    doing("deliveries: a small city");
    done(lamppost(settings, &dir, &["demo", "--scale", "1"]))?;
    let node = node::owner(settings, &dir, "deliver", 256).await?;
    let city = City::open(&dir).await?;
    let mapping = settings.work.join("bench.toml");
    std::fs::write(&mapping, MAPPING)?;
    let file = |n: u32| settings.work.join(format!("delivery-{n}.csv"));
    for seed in 1..=3 {
        let sql = ROWS
            .replace(":rows", &settings.rows.to_string())
            .replace(":seed", &seed.to_string());
        let out = std::fs::File::create(file(seed))?;
        done(psql(settings, &city).args(["--command", &sql]).stdout(out))?;
    }
    println!("\n### deliveries of {} rows\n", settings.rows);

    doing("deliveries: alone");
    let start = Instant::now();
    let (seconds, held) = import(settings, &dir, &file(1), &mapping).await?;
    let alone = settings.rows as f64 / seconds;
    let seen = node.caught_up(&city).await?;
    figure("`lamppost import`, s", short(seconds));
    figure(
        "the same until the node shows it, s",
        short(start.elapsed().as_secs_f64()),
    );
    figure("of these after the command's end, s", short(seen.as_secs_f64()));
    figure("its resident memory at most, MB", held >> 20);
    target("rows/s", short(alone), "at least 40,000", alone >= 40_000.0);

    let paths = Arc::new(paths(&city).await?);
    let quiet = beside(&node, &paths, tokio::time::sleep(Duration::from_secs(10))).await?;
    figure(
        "a tile built anew with nothing going on, ms, mean",
        short(mean(&quiet.first)),
    );
    quiet.print("tiles with nothing going on");
    doing("deliveries: by command, beside a reader");
    let by_command = beside(&node, &paths, import(settings, &dir, &file(2), &mapping)).await?;
    let rate = settings.rows as f64 / by_command.of.as_ref().map_err(ToString::to_string)?.0;
    figure("`lamppost import` beside a reader, rows/s", short(rate));
    by_command.print("tiles meanwhile");
    by_command.judge(&quiet);
    node.caught_up(&city).await?;
    doing("deliveries: over HTTP, beside a reader");
    let token = writer::token(settings, &dir)?;
    let over_http = beside(&node, &paths, post(&node, &token, &file(3), &mapping)).await?;
    let rate = settings.rows as f64 / over_http.of.as_ref().map_err(ToString::to_string)?;
    figure("`POST /imports` beside a reader, rows/s", short(rate));
    over_http.print("tiles meanwhile");
    over_http.judge(&quiet);
    node.caught_up(&city).await?;

    doing("deliveries: raw COPY");
    let (same, equal) = copied(settings, &city)?;
    figure(
        "raw COPY into an equal table without keys to other tables and without history, rows/s",
        short(equal),
    );
    figure("raw COPY into the same table, rows/s", short(same));
    let part = alone / same;
    target(
        "import over COPY into the same table",
        short(part),
        "at least 0.33",
        part >= 1.0 / 3.0,
    );
    Ok(())
}

/// What a reader of tiles saw while something else went on.
struct Beside<T> {
    /// Each tile once, before; the first time they are all built.
    first: Vec<f64>,
    ms: Vec<f64>,
    of: T,
}

impl<T> Beside<T> {
    fn at(&self, q: f64) -> f64 {
        quantile(self.ms.iter().copied(), q)
    }

    fn mean(&self) -> f64 {
        mean(&self.ms)
    }

    fn print(&self, what: &str) {
        let all = [
            ("mean", self.mean()),
            ("p50", self.at(0.5)),
            ("p90", self.at(0.9)),
            ("p99", self.at(0.99)),
        ];
        let told: Vec<String> = all.iter().map(|(name, ms)| format!("{name} {}", short(*ms))).collect();
        figure(format!("{what}, ms ({} tiles)", self.ms.len()), told.join(", "));
    }

    fn judge<U>(&self, quiet: &Beside<U>) {
        for (name, now, before) in [
            ("median", self.at(0.5), quiet.at(0.5)),
            ("mean", self.mean(), quiet.mean()),
        ] {
            let ratio = now / before;
            target(
                format!("{name} of tiles meanwhile"),
                format!("{}×", short(ratio)),
                "at most 1.3×",
                ratio <= 1.3,
            );
        }
    }
}

fn mean(ms: &[f64]) -> f64 {
    ms.iter().sum::<f64>() / ms.len().max(1) as f64
}

/// Asks for a tile every 5 ms until the other thing has ended. The first tiles fill the cache and do not count.
async fn beside<T>(node: &Node, paths: &Arc<Vec<Vec<u8>>>, other: impl Future<Output = T>) -> Result<Beside<T>> {
    let (stop, stopped) = watch::channel(false);
    let (at, paths) = (node.at, paths.clone());
    let mut connection = Connection::open(at).await?;
    let mut first = Vec::new();
    for path in paths.iter() {
        let start = Instant::now();
        connection.ask(path).await?;
        first.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let reader = tokio::spawn(async move {
        let mut ms = Vec::new();
        for path in paths.iter().cycle() {
            if *stopped.borrow() {
                break;
            }
            let start = Instant::now();
            let status = connection.ask(path).await?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
            if !matches!(status, 200 | 204) {
                return Err(format!("a tile answered {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, crate::Error>(ms)
    });
    let of = other.await;
    stop.send(true)?;
    let ms = reader.await??;
    Ok(Beside { first, ms, of })
}

/// Every tile of z12 to z16 over the city, in an order that jumps about; the layer is that of the delivered lamps.
async fn paths(city: &City) -> Result<Vec<Vec<u8>>> {
    let sql = "select * from (
        select distinct z, floor((st_x(p) + 20037508.342789244) / (40075016.685578488 / 2 ^ z))::int x,
          floor((20037508.342789244 - st_y(p)) / (40075016.685578488 / 2 ^ z))::int y
        from (select st_transform(st_centroid(geom), 3857) p from cell) c, generate_series(12, 16) z) t
      order by hashint8(z::bigint * 1000000007 + x::bigint * 65537 + y::bigint) limit 1000";
    let tiles: Vec<(i32, i32, i32)> = sqlx::query_as(sql).fetch_all(&city.pool).await?;
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
    let path = |(z, x, y): (i32, i32, i32)| get(at, &ours("lamps", (z as u8, x, y), ""), true);
    Ok(tiles.into_iter().map(path).collect())
}

/// Seconds of a `lamppost import`, and the most memory that it held.
async fn import(settings: &Settings, dir: &Path, file: &Path, mapping: &Path) -> Result<(f64, u64)> {
    let mut command = lamppost(settings, dir, &["import"]);
    let report = file.with_extension("json");
    command
        .arg(file)
        .arg("--mapping")
        .arg(mapping)
        .arg("--report")
        .arg(&report);
    let start = Instant::now();
    let mut process = Process::start(&mut command, &settings.work.join("import.log"))?;
    let mut held = 0;
    while process.check().is_ok() {
        held = memory(process.pid(), "VmHWM").unwrap_or(0).max(held);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    all_added(settings, &report)?;
    Ok((seconds, held))
}

fn all_added(settings: &Settings, report: &serde_json::Value) -> Result<()> {
    match report["rows"]["added"].as_u64() == Some(settings.rows) {
        true => Ok(()),
        false => Err(format!("not all rows were added: {report}").into()),
    }
}

/// Seconds of the same over HTTP, the sending included.
async fn post(node: &Node, token: &str, file: &Path, mapping: &Path) -> Result<f64> {
    let start = Instant::now();
    let url = format!("http://{}/imports", node.at);
    let sent = tokio::process::Command::new("curl")
        .args(["-sS", "-H", &format!("Authorization: Bearer {token}"), "-F", "run=load"])
        .args([
            "-F",
            &format!("file=@{}", file.display()),
            "-F",
            &format!("mapping=<{}", mapping.display()),
            &url,
        ])
        .output()
        .await?;
    let mut upload: serde_json::Value = serde_json::from_slice(&sent.stdout)?;
    let id = upload["id"]
        .as_str()
        .ok_or_else(|| format!("not taken: {upload}"))?
        .to_owned();
    let request = format!(
        "GET /imports/{id} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        node.at
    );
    let mut connection = Connection::open(node.at).await?;
    while matches!(upload["stage"].as_str(), Some("waiting" | "running")) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.ask(request.as_bytes()).await?;
        upload = serde_json::from_slice(connection.body())?;
    }
    match upload["report"]["rows"]["rejected"].as_u64() {
        Some(0) => Ok(start.elapsed().as_secs_f64()),
        _ => Err(format!("not all rows were added: {upload}").into()),
    }
}

/// Rows a second of raw COPY of delivered rows: into the register's own table, taken back, and into one with the same columns, indexes
/// and checks alone.
fn copied(settings: &Settings, city: &City) -> Result<(f64, f64)> {
    let file = settings.work.join("raw.bin");
    let out = format!(
        "copy (select class, scheme, '99' || substr(code, 3), name, geom, state, owner, ownership_status, source, 'x' || source_key, attributes
           from component where source = 'bench' limit {}) to stdout (format binary)",
        settings.rows
    );
    done(
        psql(settings, city)
            .args(["--command", &out])
            .stdout(std::fs::File::create(&file)?),
    )?;
    done(psql(settings, city).args(["--command", "create table raw (like component including all)"]))?;
    let rate = |table: &str| -> Result<f64> {
        let copy = format!(
            "copy {table} (class, scheme, code, name, geom, state, owner, ownership_status, source, source_key, attributes)
             from stdin (format binary)"
        );
        let start = Instant::now();
        let mut command = psql(settings, city);
        command.args(["--command", "begin", "--command", &copy, "--command", "rollback"]);
        done(command.stdin(std::fs::File::open(&file)?))?;
        Ok(settings.rows as f64 / start.elapsed().as_secs_f64())
    };
    Ok((rate("component")?, rate("raw")?))
}

fn lamppost(settings: &Settings, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&settings.lamppost);
    command
        .env_remove("DATABASE_URL")
        .args(arguments)
        .arg("--data-dir")
        .arg(dir);
    command.stdin(Stdio::null());
    command
}

fn psql(settings: &Settings, city: &City) -> Command {
    let mut command = Command::new(&settings.psql);
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        &city.url(),
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn done(mut command: impl std::borrow::BorrowMut<Command>) -> Result<()> {
    let command = command.borrow_mut();
    match command.status()?.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed").into()),
    }
}
