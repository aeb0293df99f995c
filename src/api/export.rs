//! `/collections/{layer}/items?f=xlsx|csv|geojson|gpkg|fgb|shp`: the whole list as a file.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::Shared;
use super::extract::{Ask, Params};
use super::reader::Reader;
use super::resource::percent;
use crate::audit::Act;
use crate::delivery::claims::BLANK;
use crate::delivery::out::{self, Names, Wish};
use crate::domain::text::Text;
use crate::error::{Error, Result};
use crate::exchange::read::source::{by_label, unknown_encoding};
use crate::exchange::write::Format;
use crate::index::Memory;
use crate::query::list::{self, Filter, Order};
use crate::spatial::crs::Crs;
use crate::text;
use crate::tile::layer::Layer;

/// Bytes of a piece of the answer.
const PIECE: usize = 1 << 16;

/// What is asked of a file beside its filter.
pub(super) fn wish(params: &mut Params, ask: &Ask, format: Format) -> Wish {
    let encoding = params.read("encoding", |s| by_label(s).ok_or_else(|| unknown_encoding(s)));
    Wish {
        format,
        names: params.read("names", Names::parse),
        crs: params.read("crs", Crs::parse).unwrap_or(Crs::Geographic(4490)),
        encoding: encoding.unwrap_or(encoding_rs::UTF_8),
        lang: ask.lang,
        scope: String::new(),
        blank: params
            .read("sheet", |s| match s {
                "claims" => Ok(&BLANK[..]),
                _ => Err(text!("“{s}”应为 claims", "\"{s}\" should be claims")),
            })
            .unwrap_or_default(),
    }
}

/// The list as a file, whose scope is what was asked for. Its head is sent at once, its bytes when it is complete: no format can be sent before its end is known.
pub(super) async fn file(
    app: &Shared,
    reader: &Reader,
    memory: Arc<Memory>,
    layer: &Arc<Layer>,
    filter: Filter,
    order: Order,
    mut wish: Wish,
) -> Result<Response> {
    let busy = |_| {
        Error::Busy(Text::new(
            "正在导出的文件过多，请稍后重试",
            "too many files are being made; try again shortly",
        ))
    };
    let permit = app.exports.clone().try_acquire_owned().map_err(busy)?;
    let (shared, own, held) = (app.clone(), layer.clone(), memory.clone());
    let page = app
        .work
        .run(move || list::list(&held, &shared.matchers, &own, &filter, &order))
        .await??;
    let asked = match std::mem::take(&mut wish.scope) {
        all if all.is_empty() => wish.lang.pick("全部", "all").to_owned(),
        asked => asked,
    };
    wish.scope = format!("{}：{asked}", layer.title(wish.lang));
    let name = format!("{}.{}", layer.id, wish.format.extension());
    let what = format!("{name}: {}: {asked}", page.matched);
    reader.reads_layer(app, layer, "file");
    app.audit.note(Act::Export, reader.name(), &reader.peer(), &what);
    let kind = wish.format.media_type();
    let (store, layer) = (app.store.clone(), layer.clone());
    let make = async move {
        let _permit = permit;
        let path = tempfile::Builder::new()
            .prefix("lamppost-")
            .tempfile()
            .map_err(std::io::Error::other)?
            .into_temp_path();
        let done = out::export(&store, memory, &layer, page.ids, wish, &path, &|_| {}).await;
        if let Err(e) = &done {
            tracing::error!("a file could not be made: {e}");
        }
        done.map_err(std::io::Error::other)?;
        let file = File::open(&path).await?;
        Ok::<_, std::io::Error>((file, path))
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", percent(&name)),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(make))).into_response())
}

/// A file as an answer; its name on this machine goes at once, and its bytes when they have been read.
pub(super) async fn handed(path: TempPath, name: &str, format: Format) -> Result<Response> {
    let opened = File::open(&path).await.map_err(Error::internal)?;
    drop(path);
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", percent(name)),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces_of(opened))).into_response())
}

/// The bytes of a file.
pub(super) fn pieces_of(file: File) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, async |mut file| Ok(piece(&mut file).await?.map(|p| (p, file))))
}

/// The next bytes of a file; none at its end.
async fn piece(file: &mut File) -> std::io::Result<Option<Bytes>> {
    let mut piece = Vec::with_capacity(PIECE);
    let n = file.take(PIECE as u64).read_to_end(&mut piece).await?;
    Ok((n > 0).then(|| Bytes::from(piece)))
}

/// A file that is made when its first piece is asked for, and goes when the last has been read.
fn pieces(
    make: impl Future<Output = std::io::Result<(File, TempPath)>> + Send + 'static,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    enum Step<M> {
        Make(M),
        Read(File, TempPath),
    }
    let begin = Step::Make(Box::pin(make));
    stream::try_unfold(begin, |step| async {
        let (mut file, path) = match step {
            Step::Make(make) => make.await?,
            Step::Read(file, path) => (file, path),
        };
        Ok(piece(&mut file).await?.map(|p| (p, Step::Read(file, path))))
    })
}
