//! A whole district: layout, land, stock, codes, parties and states put together as rows.

use geo::{LineString, MultiLineString, MultiPolygon};

use super::kind::{Kind, party};
use super::land::{self, Plot, Use};
use super::layout::{self, Layout, STREETS, Slot};
use super::mesh::Loop;
use super::name::{Names, numeral};
use super::ownership::finish;
use super::places::BERTHS;
use super::plane::{P, lon_lat, middle, rng};
use super::stock::Stock;
use super::street::{self, Network};
use crate::domain::word::AreaLevel;
use crate::store::bulk::{AreaRow, CellRow, District, LandRow, PartyRow, RoadRow};

/// What the seeded year has to know of a component besides its row.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) kind: Kind,
    pub(super) at: P,
    pub(super) street: Option<usize>,
}

/// A district ready to load.
pub(super) struct Made {
    pub(super) rows: District,
    /// One for each component.
    pub(super) notes: Vec<Note>,
    /// The number that its codes begin with.
    pub(super) code: u32,
}

/// Hexi's number. The layout of its codes is followed; the place is invented.
const FIRST_CODE: u32 = 120_103;

/// Makes district number `index` of `count`; the first stands in the north-west corner of a rectangle of districts.
pub(super) fn make(seed: u64, index: usize, count: usize) -> Made {
    let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
    let last = |i: usize| i >= count;
    let slot = Slot {
        column: (index % columns) as i64,
        row: (index / columns) as i64,
        last_column: (index + 1).is_multiple_of(columns) || last(index + 1),
        last_row: last(index + columns),
    };
    let d = index as i64;
    let code = FIRST_CODE + index as u32;
    let title = if index == 0 {
        "示范区".to_owned()
    } else {
        format!("示范{}区", numeral(index + 1))
    };
    let layout = layout::cut(seed, slot);
    let net = street::network(&layout);
    let mut names = Names::new(rng(seed, "names", d, 0));
    let street_names = street_names(&layout, &net, &mut names);
    let plots = land::plots(seed, d, &layout, &net);
    let mut rows = District {
        roads: roads(&layout, &net, &street_names),
        ..District::default()
    };
    areas_and_cells(&layout, code, &title, &mut names, &mut rows);
    rows.land = land_rows(&layout, &plots, &mut names);
    rows.parties = parties(code, &title, &rows.areas, &mut names);
    let mut stock = Stock {
        layout: &layout,
        net: &net,
        plots: &plots,
        street_names: &street_names,
        rng: rng(seed, "stock", d, 0),
        names,
        border: layout.mesh.ring_xy(&layout.frame),
        items: Vec::with_capacity(150_000),
        taken: vec![false; plots.len()],
    };
    let in_lots = stock.on_plots();
    stock.along_streets(BERTHS - in_lots);
    water_rails(&mut stock);
    let items = std::mem::take(&mut stock.items);
    let notes = finish(seed, d, code, &layout, items, &mut rows);
    Made { rows, notes, code }
}

fn street_names(layout: &Layout, net: &Network, names: &mut Names) -> Vec<String> {
    let mut banks = ["滨河西路", "滨河东路"].into_iter();
    layout
        .streets
        .iter()
        .zip(&net.chains)
        .map(|(s, chains)| {
            let (Some(&a), Some(&b)) = (
                chains.first().and_then(|c| c.first()),
                chains.first().and_then(|c| c.last()),
            ) else {
                return names.street(s.class, true);
            };
            if s.bank
                && let Some(name) = banks.next()
            {
                return name.to_owned();
            }
            let run = layout.mesh.xy(b) - layout.mesh.xy(a);
            names.street(s.class, run.y.abs() > run.x.abs())
        })
        .collect()
}

fn roads(layout: &Layout, net: &Network, names: &[String]) -> Vec<RoadRow> {
    let line = |c: &Loop| -> LineString<f64> { c.iter().map(|n| lon_lat(layout.mesh.xy(*n))).collect() };
    layout
        .streets
        .iter()
        .zip(&net.chains)
        .zip(names)
        .map(|((s, chains), name)| RoadRow {
            name: name.clone(),
            class: s.class,
            geom: MultiLineString(chains.iter().map(line).collect()),
        })
        .collect()
}

/// Rows of things read like a page: north to south, and west to east within a band of `band` metres.
fn reading_order(at: &[P], band: f64) -> Vec<usize> {
    let top = at.iter().map(|p| p.y).fold(f64::MIN, f64::max);
    let mut order: Vec<usize> = (0..at.len()).collect();
    order.sort_by(|a, b| {
        let row = |i: usize| ((top - at[i].y) / band) as i64;
        row(*a).cmp(&row(*b)).then(at[*a].x.total_cmp(&at[*b].x))
    });
    order
}

fn areas_and_cells(layout: &Layout, code: u32, title: &str, names: &mut Names, rows: &mut District) {
    let mesh = &layout.mesh;
    let centers: Vec<P> = layout.faces.iter().map(|f| middle(&mesh.ring_xy(&f.corners))).collect();
    let members = |of: &dyn Fn(usize) -> usize, n: usize| -> Vec<Vec<usize>> {
        let mut out = vec![Vec::new(); n];
        for i in 0..layout.faces.len() {
            out[of(i)].push(i);
        }
        out
    };
    let center = |m: &[usize]| middle(&m.iter().map(|i| centers[*i]).collect::<Vec<_>>());
    let outline = |m: &[usize]| mesh.outline(m.iter().map(|i| &layout.faces[*i].corners));
    let all: Vec<usize> = (0..layout.faces.len()).collect();
    rows.areas.push(AreaRow {
        code: code.to_string(),
        level: AreaLevel::District,
        name: title.to_owned(),
        geom: outline(&all),
    });
    let by_community = members(&|i| layout.faces[i].community, layout.communities.len());
    let by_street = members(&|i| layout.communities[layout.faces[i].community], STREETS);
    let street_order = reading_order(&by_street.iter().map(|m| center(m)).collect::<Vec<_>>(), 1500.0);
    let mut communities: Vec<AreaRow> = Vec::new();
    let mut cells = Vec::new();
    let mut in_community = Vec::new();
    let mut street_count = 0;
    for street in street_order {
        if by_street[street].is_empty() {
            continue;
        }
        street_count += 1;
        let street_code = format!("{code}{street_count:03}");
        rows.areas.push(AreaRow {
            code: street_code.clone(),
            level: AreaLevel::Street,
            name: names.fresh("街道"),
            geom: outline(&by_street[street]),
        });
        let own: Vec<usize> = (0..by_community.len())
            .filter(|c| layout.communities[*c] == street)
            .collect();
        let own_centers: Vec<P> = own.iter().map(|c| center(&by_community[*c])).collect();
        for (k, i) in reading_order(&own_centers, 500.0).into_iter().enumerate() {
            let m = &by_community[own[i]];
            let community_code = format!("{street_code}{:03}", k + 1);
            let cell_centers: Vec<P> = m.iter().map(|c| centers[*c]).collect();
            for (serial, j) in reading_order(&cell_centers, 100.0).into_iter().enumerate() {
                cells.push((format!("{community_code}{:03}", serial + 1), m[j]));
                in_community.push(communities.len());
            }
            communities.push(AreaRow {
                code: community_code,
                level: AreaLevel::Community,
                name: names.fresh("社区"),
                geom: outline(m),
            });
        }
    }
    let first = rows.areas.len();
    rows.areas.extend(communities);
    rows.cells = cells
        .into_iter()
        .zip(in_community)
        .map(|((code, face), community)| CellRow {
            code,
            geom: MultiPolygon(vec![mesh.polygon(&layout.faces[face].corners)]),
            area: first + community,
        })
        .collect();
}

fn land_rows(layout: &Layout, plots: &[Plot], names: &mut Names) -> Vec<LandRow> {
    let mut out = Vec::with_capacity(plots.len());
    for (plot, block) in plots.iter().zip(&layout.blocks) {
        let geom = if plot.using == Use::Water {
            // The water runs on under the bridges.
            layout.mesh.polygon(&block.corners)
        } else if plot.xy.len() > 2 {
            land::polygon(&plot.xy)
        } else {
            continue;
        };
        let name = match plot.using {
            Use::Water => Some("镜河".to_owned()),
            Use::Residential => Some(names.fresh("苑")),
            Use::Commercial => Some(names.fresh("广场")),
            Use::Industrial => Some(names.fresh("工业园")),
            _ => None,
        };
        out.push(LandRow {
            kind: plot.using.key(),
            code: plot.using.code(),
            name,
            population: (plot.using == Use::Residential).then_some(plot.population as i32),
            geom: MultiPolygon(vec![geom]),
        });
    }
    out
}

fn parties(code: u32, title: &str, areas: &[AreaRow], names: &mut Names) -> Vec<PartyRow> {
    let mut list: Vec<String> = party::NAMES.iter().map(|n| (*n).to_owned()).collect();
    list.extend((0..party::AD_COUNT).map(|_| names.fresh("广告有限公司")));
    list.extend((0..party::ESTATE_COUNT).map(|_| names.fresh("物业服务有限公司")));
    list.extend(
        areas
            .iter()
            .filter(|a| a.level == AreaLevel::Street)
            .map(|a| format!("{}办事处", a.name)),
    );
    list.into_iter()
        .enumerate()
        .map(|(i, name)| PartyRow {
            code: format!("{code}-{:03}", i + 1),
            name: format!("{title}{name}"),
            aliases: if i == party::CITY {
                vec![format!("{title}城管委")]
            } else {
                vec![]
            },
        })
        .collect()
}

fn water_rails(stock: &mut Stock<'_>) {
    for bank in &stock.layout.banks {
        for &(a, b) in bank {
            let line: Vec<P> = stock.layout.mesh.ring_xy(&stock.layout.mesh.chain(a, b));
            let geom = line.iter().map(|p| lon_lat(*p)).collect::<LineString<f64>>();
            stock.push(Kind::WaterRail, line[line.len() / 2], geom.into(), 0, "{}".to_owned());
        }
    }
}
