//! GeoJSON: one feature a line within its collection.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ::geojson::GeometryValue;
use geo::Geometry;
use serde_json::{Map, Value, json};

use super::{Plan, Writer, cannot};
use crate::error::Result;
use crate::spatial::crs::Crs;

pub(super) struct Features {
    path: PathBuf,
    out: BufWriter<File>,
    plan: Plan,
    first: bool,
}

impl Features {
    pub(super) fn create(path: &Path, plan: Plan) -> Result<Features> {
        let file = File::create(path).map_err(|e| cannot(path, &e))?;
        let mut out = BufWriter::new(file);
        let crs = match plan.crs {
            Crs::Geographic(_) => String::new(),
            other => format!(
                "\"crs\":{},",
                json!({"type": "name", "properties": {"name": other.member()}})
            ),
        };
        write!(out, "{{\"type\":\"FeatureCollection\",{crs}\"features\":[").map_err(|e| cannot(path, &e))?;
        Ok(Features {
            path: path.to_owned(),
            out,
            plan,
            first: true,
        })
    }
}

impl Writer for Features {
    fn row(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<()> {
        let names = self.plan.fields.iter().map(|f| f.name.clone());
        let mut properties: Map<String, Value> = names.zip(values.iter().cloned()).collect();
        let id = properties.shift_remove("id");
        let shape = ::geojson::Geometry::new(GeometryValue::from(geometry));
        let mut feature = json!({"type": "Feature", "geometry": shape, "properties": properties});
        if let (Some(id), Some(own)) = (id.filter(|v| !v.is_null()), feature.as_object_mut()) {
            own.insert("id".to_owned(), id);
        }
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        write!(self.out, "{comma}\n{feature}").map_err(|e| cannot(&self.path, &e))
    }

    fn finish(mut self: Box<Self>, _: u64) -> Result<()> {
        let done = self.out.write_all(b"\n]}\n").and_then(|()| self.out.flush());
        done.map_err(|e| cannot(&self.path, &e))
    }
}
