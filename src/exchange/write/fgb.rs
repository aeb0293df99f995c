//! FlatGeobuf with its packed index; features wait in a file of their own until all are there.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use flatgeobuf::{ColumnType, FgbCrs, FgbWriter, FgbWriterOptions, GeometryType};
use geo::Geometry;
use geozero::{ColumnValue, PropertyProcessor};
use serde_json::Value;

use super::{Format, Kind, Plan, Writer, cannot, epsg, plain};
use crate::error::Result;

pub(super) struct Features {
    path: PathBuf,
    out: FgbWriter<'static>,
    plan: Plan,
}

impl Features {
    pub(super) fn create(path: &Path, plan: Plan) -> Result<Features> {
        let code = epsg(&plan, Format::FlatGeobuf)?;
        let options = FgbWriterOptions {
            crs: FgbCrs {
                org: Some("EPSG"),
                code: i32::try_from(code).unwrap_or_default(),
                ..FgbCrs::default()
            },
            detect_type: false,
            promote_to_multi: false,
            ..FgbWriterOptions::default()
        };
        let mut out =
            FgbWriter::create_with_options(&plan.name, GeometryType::Unknown, options).map_err(|e| cannot(path, &e))?;
        for field in &plan.fields {
            let kind = match field.kind {
                Kind::Text | Kind::Code => ColumnType::String,
                Kind::Integer => ColumnType::Long,
                Kind::Number => ColumnType::Double,
                Kind::Boolean => ColumnType::Bool,
            };
            out.add_column(&field.name, kind, |_, _| {});
        }
        Ok(Features {
            path: path.to_owned(),
            out,
            plan,
        })
    }
}

impl Writer for Features {
    fn row(&mut self, values: &[Value], geometry: &Geometry<f64>) -> Result<()> {
        let fields = &self.plan.fields;
        let mut wrong = None;
        let written = self.out.add_feature_geom(geometry.clone(), |feature| {
            for (i, (value, field)) in values.iter().zip(fields).enumerate() {
                let text = plain(value);
                let cell = match (value, field.kind) {
                    (Value::Null, _) => continue,
                    (Value::Bool(b), Kind::Boolean) => ColumnValue::Bool(*b),
                    (Value::Number(n), Kind::Integer) => ColumnValue::Long(n.as_i64().unwrap_or_default()),
                    (Value::Number(n), Kind::Number) => ColumnValue::Double(n.as_f64().unwrap_or_default()),
                    _ => ColumnValue::String(&text),
                };
                if let Err(e) = feature.property(i, &field.name, &cell) {
                    wrong = Some(e);
                }
            }
        });
        written.map_err(|e| cannot(&self.path, &e))?;
        wrong.map_or(Ok(()), |e| Err(cannot(&self.path, &e)))
    }

    fn finish(self: Box<Self>, _: u64) -> Result<()> {
        let own = *self;
        let file = File::create(&own.path).map_err(|e| cannot(&own.path, &e))?;
        own.out.write(BufWriter::new(file)).map_err(|e| cannot(&own.path, &e))
    }
}
