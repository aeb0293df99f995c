//! What analyses answer as features: GeoJSON, or a file of any format in any coordinates.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use geo::{Coord, Geometry, InteriorPoint, LineString, MapCoords, MultiPolygon, Polygon};
use serde_json::{Map, Value, json};

use super::Shared;
use super::export::handed;
use super::extract::{Ask, Params};
use super::reader::Reader;
use super::work::Progress;
use crate::audit::Act;
use crate::domain::text::{Fault, Lang, Text};
use crate::error::{Error, Result};
use crate::exchange::write::{self, Field, Format, Kind, Plan};
use crate::spatial::crs::Crs;
use crate::spatial::local::Local;
use crate::spatial::overlay::{Overlay, Ring};
use crate::spatial::position::LonLat;

/// A column of a file: where its value stands in the properties, its headings, and what it is.
pub(super) type Column = (&'static str, &'static str, &'static str, Kind);

/// Where a feature lies.
pub(super) enum Shape {
    /// In the city's plane.
    Rings(Vec<Ring>),
    /// In degrees.
    Degrees(Geometry<f64>),
}

/// Features with what is said of them all.
pub(super) struct Features {
    /// The name of a file of them.
    pub(super) name: String,
    /// The title above a list of them.
    pub(super) title: String,
    /// What is said of them all, in GeoJSON.
    pub(super) members: Map<String, Value>,
    /// The columns of a file.
    pub(super) columns: &'static [Column],
    /// Properties and shape of each.
    pub(super) rows: Vec<(Value, Shape)>,
    /// The city's plane.
    pub(super) local: Local,
    /// Lines below a printed list.
    pub(super) foot: Vec<(Text, String)>,
}

/// What features are asked for as.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    format: Option<Format>,
    crs: Option<Crs>,
}

impl Wish {
    pub(super) fn read(params: &mut Params) -> Wish {
        Wish {
            format: params.file_format(),
            crs: params.read("crs", Crs::parse),
        }
    }
}

impl Features {
    fn degrees(&self, shape: &Shape) -> Option<Geometry<f64>> {
        match shape {
            Shape::Degrees(geometry) => Some(geometry.clone()),
            Shape::Rings(rings) => {
                let mut shape = self.local.degrees(rings).ok()?;
                match shape.0.len() {
                    0 => None,
                    1 => Some(Geometry::Polygon(shape.0.remove(0))),
                    _ => Some(Geometry::MultiPolygon(shape)),
                }
            }
        }
    }

    /// In the coordinates of a file. In the city's own zone they are those that were worked with, to a tenth of a millimetre.
    fn shape(&self, shape: &Shape, crs: Crs) -> Result<Option<Geometry<f64>>> {
        if let (Shape::Rings(rings), true) = (shape, crs == self.local.crs()) {
            let line = |ring: &Ring| {
                let points = ring
                    .iter()
                    .chain(ring.first())
                    .map(|p| Coord::from(self.local.zone(*p)));
                LineString(points.collect())
            };
            let polygon = |rings: Vec<Ring>| {
                let mut lines = rings.iter().map(line);
                Some(Polygon::new(lines.next()?, lines.collect()))
            };
            let polygons = Overlay::default().polygons(rings);
            let polygons = MultiPolygon(polygons.into_iter().filter_map(polygon).collect());
            return Ok((!polygons.0.is_empty()).then_some(Geometry::MultiPolygon(polygons)));
        }
        let Some(degrees) = self.degrees(shape) else {
            return Ok(None);
        };
        let fault = |e| Error::Syntax(vec![Fault::new("crs", e)]);
        let moved = degrees.try_map_coords(|c| {
            let p = LonLat::new(c.x, c.y).map_err(fault)?;
            Ok::<_, Error>(crs.from_lonlat(p).map_err(fault)?.into())
        });
        moved.map(Some)
    }

    /// As GeoJSON. Cost: O(vertices), each of which PROJ converts.
    pub(super) fn collection(&self) -> Value {
        let feature = |(n, (properties, shape)): (usize, &(Value, Shape))| {
            let geometry = self.degrees(shape)?;
            let geometry = geojson::Geometry::new(geojson::GeometryValue::from(&geometry));
            Some(json!({"type": "Feature", "id": n + 1, "geometry": geometry, "properties": properties}))
        };
        let features: Vec<Value> = self.rows.iter().enumerate().filter_map(feature).collect();
        let mut out = Map::from_iter([("type".to_owned(), json!("FeatureCollection"))]);
        out.extend(self.members.clone());
        out.insert("numberReturned".to_owned(), json!(features.len()));
        out.insert("features".to_owned(), json!(features));
        Value::Object(out)
    }

    fn write(&self, format: Format, crs: Crs, lang: Lang, path: &std::path::Path) -> Result<()> {
        let columns = [("id", "序号", "No.", Kind::Integer)].iter().chain(self.columns);
        let headed = format == Format::Xlsx || format == Format::Csv;
        let named = |(at, zh, en, kind): &Column| Field {
            name: match headed {
                true => lang.pick(*zh, *en).to_owned(),
                false => at.replace('/', "_"),
            },
            kind: *kind,
        };
        let mut fields: Vec<Field> = columns.map(named).collect();
        if !format.has_shapes() {
            let place = |zh, en| Field {
                name: lang.pick(zh, en),
                kind: Kind::Number,
            };
            let (x, y) = match crs.in_degrees() {
                true => (("经度", "Longitude"), ("纬度", "Latitude")),
                false => (("东坐标", "Easting"), ("北坐标", "Northing")),
            };
            fields.extend([x, y].map(|(zh, en): (&str, &str)| place(zh.to_owned(), en.to_owned())));
        }
        let scope = (Text::new("坐标系", "Coordinates"), crs.key());
        let foot = self.foot.iter().chain([&scope]);
        let plan = Plan {
            name: self.name.clone(),
            title: self.title.clone(),
            fields,
            crs,
            encoding: encoding_rs::UTF_8,
            lang,
            foot: foot
                .map(|(name, value)| (name.get(lang).to_owned(), value.clone()))
                .collect(),
        };
        let mut out = write::open(format, path, plan)?;
        let mut count = 0;
        for (properties, shape) in &self.rows {
            let Some(geometry) = self.shape(shape, crs)? else {
                continue;
            };
            count += 1;
            let value = |at: &str| properties.pointer(&format!("/{at}")).cloned().unwrap_or(Value::Null);
            let mut values: Vec<Value> = std::iter::once(json!(count))
                .chain(self.columns.iter().map(|(at, ..)| value(at)))
                .collect();
            if !format.has_shapes() {
                let at = geometry.interior_point().map(|p| (p.x(), p.y())).unwrap_or_default();
                let step = if crs.in_degrees() { 1e7 } else { 1e2 };
                values.extend([at.0, at.1].map(|v| json!((v * step).round() / step)));
            }
            out.row(&values, &geometry)?;
        }
        out.finish(count)
    }
}

/// Answers features that `make` works out while somebody waits for them: as GeoJSON, or as the file that is wished for. Drawings for
/// surveyors are in the city's zone of Gauss-Krüger where nothing else is wished for.
pub(super) async fn answer(
    app: &Shared,
    reader: &Reader,
    ask: &Ask,
    wish: Wish,
    make: impl FnOnce(&Progress) -> Result<Features> + Send + 'static,
) -> Result<Response> {
    let format = match (wish.format, wish.crs) {
        (None | Some(Format::GeoJson), None) => None,
        (format, _) => Some(format.unwrap_or(Format::GeoJson)),
    };
    let Some(format) = format else {
        let body = app
            .analyses
            .run_while_wanted(|progress| Ok::<_, Error>(make(progress)?.collection().to_string()));
        let headers = [
            (header::CONTENT_TYPE, "application/geo+json"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        return Ok((StatusCode::OK, headers, body.await??).into_response());
    };
    let (lang, crs) = (ask.lang, wish.crs);
    let write = move |progress: &Progress| {
        let features = make(progress)?;
        let drawn = matches!(format, Format::Shapefile | Format::GeoPackage | Format::FlatGeobuf);
        let own = match drawn {
            true => features.local.crs(),
            false => Crs::Geographic(4490),
        };
        let path = tempfile::Builder::new()
            .prefix("lamppost-")
            .tempfile()
            .map_err(Error::internal)?
            .into_temp_path();
        features.write(format, crs.unwrap_or(own), lang, &path)?;
        Ok::<_, Error>((path, features.name))
    };
    let (path, name) = app.analyses.run_while_wanted(write).await??;
    let file = format!("{name}.{}", format.extension());
    app.audit.note(Act::Export, reader.name(), &reader.peer(), &file);
    handed(path, &file, format).await
}
