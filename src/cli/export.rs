//! `lamppost export`: a list out of the register.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::ArgPredicate;
use encoding_rs::Encoding;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::delivery::claims::BLANK;
use crate::delivery::out::{self, CHECK, Names, Wish};
use crate::delivery::{handover, quality};
use crate::domain::filter::Filter as Cql;
use crate::domain::grant::Rights;
use crate::domain::text::Text;
use crate::domain::word::State;
use crate::error::{Error, Result};
use crate::exchange::read::source::by_label;
use crate::exchange::write::Format;
use crate::feed;
use crate::query::list::{Filter, Order, SortBy, list};
use crate::query::matcher::Matchers;
use crate::query::word::fields;
use crate::spatial::crs::Crs;
use crate::spatial::position::Bbox;
use crate::store::Store;
use crate::text;
use crate::tile::layer;

/// Writes a list of components into a file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The layer: lamps, wells … or components for all.
    #[arg(
        required = false,
        required_unless_present = "all",
        default_value_if("all", ArgPredicate::IsPresent, "components")
    )]
    pub layer: String,
    /// The file; its ending says the format: .xlsx, .csv, .geojson, .gpkg, .fgb, or .zip for a shapefile.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Exports the whole register for a handover, into a new directory: components with the retired, areas, cells, roads, land,
    /// parties, classes, history, and the commands that take them into another register.
    #[arg(long, conflicts_with_all = ["filter", "bbox", "within_area", "class", "state", "owner", "names", "crs", "encoding", "sample"])]
    pub all: bool,
    /// What columns are called: lamppost (the register's own names), national (ObjID …) or headings (to read; default of .xlsx).
    #[arg(long, value_parser = |s: &str| Names::parse(s).map_err(|e| e.en))]
    pub names: Option<Names>,
    /// The coordinates: EPSG:4490 (default), EPSG:4548, gcj02 …
    #[arg(long, value_parser = |s: &str| Crs::parse(s).map_err(|e| e.en))]
    pub crs: Option<Crs>,
    /// The encoding of a .csv: utf-8 (default) or gb18030.
    #[arg(long, value_parser = |s: &str| by_label(s).ok_or("utf-8, gb18030"))]
    pub encoding: Option<&'static Encoding>,
    /// Only what passes this CQL2 filter: "state = 'damaged' AND owner IS NULL".
    #[arg(long)]
    pub filter: Option<String>,
    /// Only what touches this box: west,south,east,north in degrees.
    #[arg(long, value_parser = |s: &str| Bbox::parse(s).map_err(|e| e.en))]
    pub bbox: Option<Bbox>,
    /// Only what lies in the area of this code.
    #[arg(long)]
    pub within_area: Option<String>,
    /// Only these classes.
    #[arg(long, value_delimiter = ',')]
    pub class: Vec<String>,
    /// Only these states; without it all but retired.
    #[arg(long, value_delimiter = ',', value_parser = |s: &str| State::parse(s).map_err(|e| e.en))]
    pub state: Vec<State>,
    /// A random sample to survey again: all components of so many per cent of the unit cells, and a column for what is found.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub sample: Option<f64>,
    /// A sheet of claims to be filled in: with columns for the document and the days from and to which the party holds it
    #[arg(long, conflicts_with = "sample")]
    pub claims: bool,
    /// Which sample: the same seed draws the same cells of the same register.
    #[arg(long, default_value_t = 1, requires = "sample")]
    pub seed: u64,
    /// Only what these parties own.
    #[arg(long, value_delimiter = ',')]
    pub owner: Vec<String>,
}

/// The whole register, into a directory.
async fn everything(store: &Store, args: &Args) -> Result<u64> {
    let (lang, dir) = (super::lang(), &args.output);
    handover::check_empty(dir)?;
    handover::write(store, dir, lang, &|name| eprintln!("  {name}")).await?;
    let components = Args {
        all: false,
        output: dir.join(handover::COMPONENTS),
        state: State::ALL.to_vec(),
        ..args.clone()
    };
    Box::pin(run(store, &components)).await
}

/// A share in per cent.
fn share(s: &str) -> Result<f64, String> {
    let n = s.trim_end_matches('%').parse::<f64>().ok();
    n.filter(|n| *n > 0.0 && *n <= 100.0)
        .ok_or_else(|| "0 … 100".to_owned())
}

/// A layer of components by its name, or a fault that lists those there are.
pub(super) fn layer_of(name: &str) -> Result<Arc<layer::Layer>> {
    let layer = layer::get(name).cloned().ok_or_else(|| {
        let list = layer::all()
            .iter()
            .map(|l| l.id.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let detail = text!(
            "没有图层“{name}”；现有：{list}",
            "there is no layer \"{name}\"; known are {list}"
        );
        Error::syntax("layer", detail)
    })?;
    if layer.source != layer::Source::Component {
        let detail = Text::new("应为部件图层", "it should be a layer of components");
        return Err(Error::syntax("layer", detail));
    }
    Ok(layer)
}

/// Writes the list and says how many there are.
pub async fn run(store: &Store, args: &Args) -> Result<u64> {
    let lang = super::lang();
    if args.all {
        return everything(store, args).await;
    }
    let layer = layer_of(&args.layer)?;
    let ending = args
        .output
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let format = Format::parse(&ending).map_err(|e| Error::syntax("output", e))?;
    let known = fields(layer.source);
    let cql = args
        .filter
        .as_deref()
        .map(|f| Cql::parse(f, known))
        .transpose()
        .map_err(Error::Syntax)?;
    let filter = Filter {
        cql: cql.filter(|f| *f != Cql::TRUE).map(Arc::new),
        bbox: args.bbox,
        within_area: args.within_area.clone(),
        class: args.class.clone(),
        state: args.state.clone(),
        owner: args.owner.clone(),
        ..Filter::default()
    };
    let order = Order {
        by: SortBy::Id,
        descending: false,
        after: None,
        limit: usize::MAX,
    };
    let memory = Arc::new(feed::load(store).await?);
    // Whoever has the database has all of it.
    let filter = Filter {
        rights: Rights::to(memory.classes.keys().copied()),
        ..filter
    };
    let mut page = list(&memory, &Matchers::default(), &layer, &filter, &order)?;
    if let Some(percent) = args.sample {
        page.ids = quality::sample(&memory, &page.ids, percent / 100.0, args.seed);
    }
    let asked = args
        .filter
        .clone()
        .unwrap_or_else(|| lang.pick("全部", "all").to_owned());
    let wish = Wish {
        format,
        names: args.names,
        crs: args.crs.unwrap_or(Crs::Geographic(4490)),
        encoding: args.encoding.unwrap_or(encoding_rs::UTF_8),
        lang,
        scope: format!("{}：{asked}", layer.title(lang)),
        blank: match (args.sample, args.claims) {
            (Some(_), _) => std::slice::from_ref(&CHECK),
            (None, true) => &BLANK,
            (None, false) => &[],
        },
    };
    let bar = ProgressBar::new(page.ids.len() as u64);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = "{bar:40} {human_pos}/{human_len} {per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let written = write(store, memory, &layer, page.ids, wish, &args.output, &bar).await;
    bar.finish_and_clear();
    let count = written?;
    let path = args.output.display();
    eprintln!(
        "{}",
        text!("已写入 {path}：{count} 个部件", "{count} components are in {path}").get(lang)
    );
    Ok(count)
}

/// Into a file beside it first: whoever looks finds the old list or the whole new one.
async fn write(
    store: &Store,
    memory: Arc<crate::index::Memory>,
    layer: &layer::Layer,
    ids: Vec<i64>,
    wish: Wish,
    path: &Path,
    bar: &ProgressBar,
) -> Result<u64> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let count = out::export(store, memory, layer, ids, wish, &part, &|done| bar.set_position(done)).await?;
    std::fs::rename(&part, path).map_err(|e| {
        let path = path.display();
        Error::Setup(text!("无法写入 {path}：{e}", "{path} cannot be written: {e}"))
    })?;
    Ok(count)
}
