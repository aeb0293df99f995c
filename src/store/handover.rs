//! The register as rows of text, for a handover: everything but the components of today, which are a list.

use futures_util::TryStreamExt;

use super::Store;
use crate::error::Result;

/// One file of a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Class dictionaries, as CSV.
    Classes,
    /// Parties, as CSV.
    Parties,
    /// Valid areas, as GeoJSON features.
    Areas,
    /// Valid cells of all schemes, as GeoJSON features.
    Cells,
    /// Roads, as GeoJSON features.
    Roads,
    /// Land, as GeoJSON features.
    Land,
    /// Codes that were given up, as CSV.
    FormerCodes,
    /// Every version of every component, as CSV.
    History,
    /// Every claim, with its documents and steps, as CSV.
    Claims,
}

impl Part {
    /// Every part, in the order in which another register takes them in.
    pub const ALL: [Part; 9] = [
        Part::Classes,
        Part::Parties,
        Part::Areas,
        Part::Cells,
        Part::Roads,
        Part::Land,
        Part::FormerCodes,
        Part::History,
        Part::Claims,
    ];

    /// Whether its rows are GeoJSON features; otherwise they are CSV, the heading first.
    pub fn is_geojson(self) -> bool {
        matches!(self, Part::Areas | Part::Cells | Part::Roads | Part::Land)
    }

    fn sql(self) -> &'static str {
        match self {
            Part::Classes => {
                "copy (select k.scheme, k.code, k.name_zh, k.name_en, k.major, array_to_string(k.geometry, ' ') as geometry, k.accuracy,
                   k.attributes, k.restricted::text as restricted, b.scheme as base_scheme, b.code as base_code
                 from class k left join class b on b.id = k.base order by (b.id is not null), k.scheme, k.code) to stdout (format csv, header)"
            }
            Part::Parties => {
                "copy (select code, name, array_to_string(aliases, ';') as aliases from party order by id) to stdout (format csv, header)"
            }
            Part::Areas => {
                "copy (select json_build_object('type', 'Feature', 'properties', json_build_object('code', code, 'level', level, 'name', name),
                   'geometry', st_asgeojson(geom, 9)::json)::text
                 from area where valid order by length(code), code) to stdout (format csv, quote E'\\x01', delimiter E'\\x02')"
            }
            Part::Cells => {
                "copy (select json_build_object('type', 'Feature', 'properties', json_build_object('scheme', scheme, 'code', code, 'name', name),
                   'geometry', st_asgeojson(geom, 9)::json)::text
                 from cell where valid order by scheme, code) to stdout (format csv, quote E'\\x01', delimiter E'\\x02')"
            }
            Part::Roads => {
                "copy (select json_build_object('type', 'Feature', 'properties', json_build_object('id', id, 'name', name, 'class', class),
                   'geometry', st_asgeojson(geom, 9)::json)::text
                 from road order by id) to stdout (format csv, quote E'\\x01', delimiter E'\\x02')"
            }
            Part::Land => {
                "copy (select json_build_object('type', 'Feature', 'properties', json_build_object('id', id, 'kind', kind, 'code', code,
                   'name', name, 'population', population), 'geometry', st_asgeojson(geom, 9)::json)::text
                 from land order by id) to stdout (format csv, quote E'\\x01', delimiter E'\\x02')"
            }
            Part::FormerCodes => {
                "copy (select entity, scheme, code, id, until from former_code order by entity, scheme, code) to stdout (format csv, header)"
            }
            Part::History => {
                "copy (select v.id, v.version, r.number as revision, r.recorded, r.actor, r.reason,
                   to_jsonb(v) - 'id' - 'version' - 'txn' - 'geom' || jsonb_build_object('geom', st_asgeojson(v.geom, 9)::jsonb) as state
                 from component_version v join revision r on r.txn = v.txn order by v.id, v.version) to stdout (format csv, header)"
            }
            Part::Claims => {
                "copy (select m.id, m.component, m.role, m.kind,
                   (select string_agg(p.name, ';' order by u.place) from unnest(m.parties) with ordinality u (id, place) join party p on p.id = u.id) as parties,
                   m.first_day, m.last_day, m.stage, m.handed_in_by, m.reviewed_by, m.decided_by, m.own_party, m.announced_until, m.note,
                   (select jsonb_agg(to_jsonb(e) - 'id' order by e.id) from evidence e where e.id = any (m.evidence)) as evidence,
                   (select jsonb_agg(jsonb_build_object('stage', s.stage, 'revision', r.number, 'recorded', r.recorded, 'by', r.actor, 'reason', r.reason)
                      order by r.number) from motion_step s join revision r on r.txn = s.txn where s.motion = m.id) as steps
                 from motion m order by m.id) to stdout (format csv, header)"
            }
        }
    }
}

impl Store {
    /// Hands the text of a part over as it comes, in pieces that may end anywhere.
    pub async fn hand_over(&self, part: Part, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut conn = self.pool.acquire().await?;
        let mut pieces = conn.copy_out_raw(part.sql()).await?;
        while let Some(piece) = pieces.try_next().await? {
            each(&piece)?;
        }
        Ok(())
    }
}
