//! The whole register as a directory of files that another one takes in, with the mapping of each and the commands.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::domain::text::Lang;
use crate::error::{Error, Result};
use crate::exchange::write::cannot;
use crate::store::Store;
use crate::store::handover::Part;

/// The name of a part's file.
fn name(part: Part) -> &'static str {
    match part {
        Part::Classes => "1-classes.csv",
        Part::Parties => "2-parties.csv",
        Part::Areas => "3-areas.geojson",
        Part::Cells => "4-cells.geojson",
        Part::Roads => "5-roads.geojson",
        Part::Land => "6-land.geojson",
        Part::FormerCodes => "former-codes.csv",
        Part::History => "history.csv",
        Part::Claims => "claims.csv",
    }
}

/// The file of the components.
pub const COMPONENTS: &str = "7-components.gpkg";

const MAPPINGS: [(&str, &str); 6] = [
    (
        "2-parties.toml",
        "into = \"parties\"\nsource = \"handover\"\n[fields]\ncode = \"code\"\nname = \"name\"\naliases = \"aliases\"\n",
    ),
    (
        "3-areas.toml",
        "into = \"areas\"\nsource = \"handover\"\n[fields]\ncode = \"code\"\nlevel = \"level\"\nname = \"name\"\n",
    ),
    (
        "4-cells.toml",
        "into = \"cells\"\nsource = \"handover\"\n[fields]\ncode = { column = \"code\", scheme_column = \"scheme\" }\nname = \"name\"\n",
    ),
    (
        "5-roads.toml",
        "into = \"roads\"\nsource = \"handover\"\nkey = \"id\"\n[fields]\nname = \"name\"\nclass = \"class\"\n",
    ),
    (
        "6-land.toml",
        "into = \"land\"\nsource = \"handover\"\nkey = \"id\"\n[fields]\nkind = \"kind\"\ncode = \"code\"\nname = \"name\"\npopulation = \"population\"\n",
    ),
    (
        "7-components.toml",
        include_str!("../../fixtures/mappings/lamppost.toml"),
    ),
];

/// Writes everything but the components; `told` hears of each file that is done.
pub async fn write(store: &Store, dir: &Path, lang: Lang, told: &(dyn Fn(&str) + Sync)) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| cannot(dir, &e))?;
    for part in Part::ALL {
        let path = dir.join(name(part));
        one(store, part, &path).await?;
        told(name(part));
    }
    for (name, text) in MAPPINGS {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|e| cannot(&path, &e))?;
    }
    let path = dir.join("README.txt");
    std::fs::write(&path, readme(lang)).map_err(|e| cannot(&path, &e))
}

async fn one(store: &Store, part: Part, path: &Path) -> Result<()> {
    let fault = |e: std::io::Error| cannot(path, &e);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(fault)?);
    if part.is_geojson() {
        // A feature a line; the comma stands before all but the first.
        out.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[\n")
            .map_err(fault)?;
        let (mut begun, mut first) = (false, true);
        store
            .hand_over(part, |piece| {
                for line in piece.split_inclusive(|b| *b == b'\n') {
                    if !begun && !std::mem::take(&mut first) {
                        out.write_all(b",").map_err(fault)?;
                    }
                    begun = !line.ends_with(b"\n");
                    out.write_all(line).map_err(fault)?;
                }
                Ok(())
            })
            .await?;
        out.write_all(b"]}\n").map_err(fault)?;
    } else {
        store
            .hand_over(part, |piece| out.write_all(piece).map_err(fault))
            .await?;
    }
    let file = out.into_inner().map_err(|e| fault(e.into_error()))?;
    file.sync_all().map_err(fault)
}

fn readme(lang: Lang) -> String {
    let commands: String = [
        "lamppost import 1-classes.csv --into classes".to_owned(),
        "lamppost import 2-parties.csv --mapping 2-parties.toml".to_owned(),
        "lamppost import 3-areas.geojson --mapping 3-areas.toml".to_owned(),
        "lamppost import 4-cells.geojson --mapping 4-cells.toml".to_owned(),
        "lamppost import 5-roads.geojson --mapping 5-roads.toml".to_owned(),
        "lamppost import 6-land.geojson --mapping 6-land.toml".to_owned(),
        format!("lamppost import {COMPONENTS} --mapping 7-components.toml"),
    ]
    .map(|c| format!("  {c}\n"))
    .concat();
    let zh = format!(
        "路灯柱 Lamppost 登记册移交\n\n依次导入另一登记册：\n\n{commands}\nhistory.csv：每个部件的每一版本；claims.csv：每一项确权主张及其办理经过；former-codes.csv：曾用代码。三者供存档，不可导入。\n坐标均为经度、纬度（EPSG:4326），编码为 UTF-8。\n"
    );
    let en = format!(
        "A handover of a Lamppost register\n\nInto another register, in this order:\n\n{commands}\nhistory.csv has every version of every component, claims.csv every claim with its steps, former-codes.csv the codes that were given up: to be kept, not imported.\nPositions are longitude and latitude (EPSG:4326), texts UTF-8.\n"
    );
    lang.pick(zh, en)
}

/// The fault of a directory that has files already: a handover is one state of the register.
pub fn check_empty(dir: &Path) -> Result<()> {
    let used = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if !used {
        return Ok(());
    }
    let shown = dir.display();
    Err(Error::Setup(crate::text!(
        "{shown} 不是空目录",
        "{shown} is not an empty directory"
    )))
}
