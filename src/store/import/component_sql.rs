//! The statements that a batch of components goes through, in their order.

pub(super) const STAGE: &str = "
create temp table import_component (
  no bigint, key text, class int, scheme text, code text, prefix text, name text, geom geometry(Geometry, 4326), state text,
  authority int, owner int, maintainer int, property_kind text, management_kind text, address text, road_name text, road int,
  surveyed_on date, accuracy text, note text, attributes jsonb
) on commit delete rows";

pub(super) const COPY: &str = "
copy import_component (
  no, key, class, scheme, code, prefix, name, geom, state, authority, owner, maintainer, property_kind, management_kind, address,
  road_name, surveyed_on, accuracy, note, attributes
) from stdin (format binary)";

/// A component that has a code keeps it.
pub(super) const KEEP_CODES: &str = "
update import_component s set scheme = c.scheme, code = c.code, prefix = null
from (
  select s.no, c.scheme, c.code from import_component s
  cross join lateral (select c.scheme, c.code from component c where c.source = $1 and c.source_key = s.key offset 0) c
  where s.prefix is not null and c.code is not null
) c
where s.no = c.no";

/// Nobody else gives serials of the same district and class until the transaction ends.
pub(super) const LOCK_SERIALS: &str = "
select count(pg_advisory_xact_lock(7261005, hashtext(prefix)))
from (select distinct prefix from import_component where prefix is not null order by prefix) p";

/// The next serials of each district and class, after the highest that ever was; the highest of them.
pub(super) const SERIALS: &str = "
with last as (
  select p.prefix, greatest(last_serial($1, p.prefix),
    (select max(substr(s.code, 11))::bigint from import_component s where s.scheme = $1 and left(s.code, 10) = p.prefix)) as serial
  from (select distinct prefix from import_component where prefix is not null) p
), numbered as (
  select s.no, l.serial + row_number() over (partition by s.prefix order by s.no) as serial
  from import_component s join last l on l.prefix = s.prefix
), given as (
  update import_component s set scheme = $1, code = s.prefix || lpad(n.serial::text, 6, '0')
  from numbered n where n.no = s.no
)
select max(serial) from numbered";

/// Whether any row is of a component that was delivered before.
pub(super) const KNOWN: &str = "
select exists (
  select from import_component s
  cross join lateral (select from component c where c.source = $1 and c.source_key = s.key offset 0) c
)";

/// What differs: the row as it would become, beside the version that it would replace.
pub(super) const NEXT: &str = "
create temp table import_next (
  no bigint, id bigint, version bigint, class int, geom geometry(Geometry, 4326), scheme text, code text, name text, state text,
  authority int, owner int, maintainer int, ownership_status text, property_kind text, management_kind text, address text, road int,
  surveyed_on date, accuracy text, note text, attributes jsonb
) on commit delete rows";

pub(super) const COMPARE: &str = "
insert into import_next
select s.no, c.id, c.version, n.*
from import_component s
cross join lateral (select c.* from component c where c.source = $1 and c.source_key = s.key offset 0) c
cross join lateral (
  select s.class, s.geom,
    case when 'code' = any ($2) then s.scheme else c.scheme end as scheme,
    case when 'code' = any ($2) then s.code else c.code end as code,
    case when 'name' = any ($2) then s.name else c.name end as name,
    case when 'state' = any ($2) or c.state = 'retired' then s.state else c.state end as state,
    case when 'authority' = any ($2) then s.authority else c.authority end as authority,
    case when 'owner' = any ($2) then s.owner else c.owner end as owner,
    case when 'maintainer' = any ($2) then s.maintainer else c.maintainer end as maintainer,
    case when 'owner' = any ($2) and s.owner is not null and c.ownership_status = 'unsurveyed'
              and not exists (select from standing t where t.component = c.id and t.role = 'owner')
         then 'proposed' else c.ownership_status end as ownership_status,
    case when 'property_kind' = any ($2) then s.property_kind else c.property_kind end as property_kind,
    case when 'management_kind' = any ($2) then s.management_kind else c.management_kind end as management_kind,
    case when 'address' = any ($2) then s.address else c.address end as address,
    case when 'road' = any ($2) then s.road else c.road end as road,
    case when 'surveyed_on' = any ($2) then s.surveyed_on else c.surveyed_on end as surveyed_on,
    case when 'accuracy' = any ($2) then s.accuracy else c.accuracy end as accuracy,
    case when 'note' = any ($2) then s.note else c.note end as note,
    jsonb_strip_nulls(c.attributes || (s.attributes - $3::text[])) as attributes
) n
where (c.class, c.geom, c.scheme, c.code, c.name, c.state, c.authority, c.owner, c.maintainer, c.ownership_status,
       c.property_kind, c.management_kind, c.address, c.road, c.surveyed_on, c.accuracy, c.note, c.attributes)
      is distinct from
      (n.class, n.geom, n.scheme, n.code, n.name, n.state, n.authority, n.owner, n.maintainer, n.ownership_status,
       n.property_kind, n.management_kind, n.address, n.road, n.surveyed_on, n.accuracy, n.note, n.attributes)";

/// Locks every component that the batch delivers again, before it is compared.
pub(super) const LOCK_ALL: &str = "
select count(*)
from import_component s
cross join lateral (select c.id from component c where c.source = $1 and c.source_key = s.key for update) c";

/// Locks what differs, and tells whether any of it was written after it was compared.
pub(super) const LOCK: &str = "
select count(*) > 0
from import_next n
cross join lateral (select c.version from component c where c.id = n.id for update) c
where c.version <> n.version";

/// Rows that somebody edited after the last delivery. Where the source still says what it said then, the edit stands; where both
/// changed, a person must decide. A settled owner is not replaced unless ($4) the delivery overwrites, and what a claim has decided never is.
pub(super) const GUARD: &str = "
with judged as (
  select n.no, e.actor, n.owner is distinct from c.owner and c.ownership_status in ('confirmed', 'disputed', 'designated') as settled,
    b.id is not null
    and (b.class, b.geom) is not distinct from (s.class, s.geom)
    and ('code' <> all ($1) or (b.scheme, b.code) is not distinct from (s.scheme, s.code))
    and ('name' <> all ($1) or b.name is not distinct from s.name)
    and ('state' <> all ($1) or b.state = s.state)
    and ('authority' <> all ($1) or b.authority is not distinct from s.authority)
    and ('owner' <> all ($1) or b.owner is not distinct from s.owner)
    and ('maintainer' <> all ($1) or b.maintainer is not distinct from s.maintainer)
    and ('property_kind' <> all ($1) or b.property_kind is not distinct from s.property_kind)
    and ('management_kind' <> all ($1) or b.management_kind is not distinct from s.management_kind)
    and ('address' <> all ($1) or b.address is not distinct from s.address)
    and ('road' <> all ($1) or b.road is not distinct from s.road)
    and ('surveyed_on' <> all ($1) or b.surveyed_on is not distinct from s.surveyed_on)
    and ('accuracy' <> all ($1) or b.accuracy is not distinct from s.accuracy)
    and ('note' <> all ($1) or b.note is not distinct from s.note)
    and jsonb_strip_nulls(b.attributes || (s.attributes - $3::text[])) = b.attributes as same,
    b.id is not null
    and (b.class, b.geom) is not distinct from (c.class, c.geom)
    and ('code' <> all ($1) or (b.scheme, b.code) is not distinct from (c.scheme, c.code))
    and ('name' <> all ($1) or b.name is not distinct from c.name)
    and ('state' <> all ($1) or b.state = c.state)
    and ('authority' <> all ($1) or b.authority is not distinct from c.authority)
    and ('owner' <> all ($1) or b.owner is not distinct from c.owner)
    and ('maintainer' <> all ($1) or b.maintainer is not distinct from c.maintainer)
    and ('property_kind' <> all ($1) or b.property_kind is not distinct from c.property_kind)
    and ('management_kind' <> all ($1) or b.management_kind is not distinct from c.management_kind)
    and ('address' <> all ($1) or b.address is not distinct from c.address)
    and ('road' <> all ($1) or b.road is not distinct from c.road)
    and ('surveyed_on' <> all ($1) or b.surveyed_on is not distinct from c.surveyed_on)
    and ('accuracy' <> all ($1) or b.accuracy is not distinct from c.accuracy)
    and ('note' <> all ($1) or b.note is not distinct from c.note)
    and not exists (select from jsonb_object_keys(s.attributes - $3::text[]) k where b.attributes -> k is distinct from c.attributes -> k) as untouched,
    decided
  from import_next n
  join import_component s on s.no = n.no
  cross join lateral (select c.* from component c where c.id = n.id offset 0) c
  cross join lateral (
    select exists (
      select from standing t
      where t.component = n.id and t.settled in ('confirmed', 'designated') and case t.role
        when 'owner' then n.owner is distinct from c.owner
        when 'authority' then n.authority is distinct from c.authority
        else n.maintainer is distinct from c.maintainer end
    ) as decided
  ) t
  join lateral (
    select coalesce(r.actor, p.actor) as actor
    from component_version v left join revision r on r.txn = v.txn left join pending p on p.txn = v.txn
    where v.id = n.id and v.version = n.version
  ) e on e.actor <> $2 or decided or (n.owner is distinct from c.owner and c.ownership_status in ('confirmed', 'disputed', 'designated'))
  left join lateral (
    select v.*
    from component_version v left join revision r on r.txn = v.txn left join pending p on p.txn = v.txn
    where v.id = n.id and coalesce(r.actor, p.actor) = $2
    order by v.version desc
    limit 1
  ) b on true
)
delete from import_next n using judged j
where n.no = j.no and (j.decided or not $4 and (j.same or j.settled or not j.untouched))
returning n.no, j.same and not $4, (j.settled or j.decided) and (not j.same or $4), j.actor";

pub(super) const UPDATE: &str = "
update component c set
  class = n.class, geom = n.geom, scheme = n.scheme, code = n.code, name = n.name, state = n.state, authority = n.authority,
  owner = n.owner, maintainer = n.maintainer, ownership_status = n.ownership_status, property_kind = n.property_kind,
  management_kind = n.management_kind, address = n.address, road = n.road, surveyed_on = n.surveyed_on, accuracy = n.accuracy,
  note = n.note, attributes = n.attributes
from import_next n
where c.id = n.id";

pub(super) const INSERT: &str = "
insert into component (
  scheme, code, class, name, geom, state, authority, owner, maintainer, ownership_status, property_kind, management_kind, address,
  road, surveyed_on, source, source_key, accuracy, note, attributes)
select s.scheme, s.code, s.class, s.name, s.geom, s.state, s.authority, s.owner, s.maintainer,
  case when s.owner is null then 'unsurveyed' else 'proposed' end,
  s.property_kind, s.management_kind, s.address, s.road, s.surveyed_on, $1, s.key, s.accuracy, s.note, jsonb_strip_nulls(s.attributes)
from import_component s
where (select c.id from component c where c.source = $1 and c.source_key = s.key) is null
order by s.no
returning id, source_key";

/// How many of those that differ stand elsewhere, and how many differ in anything else.
pub(super) const MOVED: &str = "
select count(*) filter (where not st_orderingequals(n.geom, c.geom)),
  count(*) filter (where
    (c.class, c.scheme, c.code, c.name, c.state, c.authority, c.owner, c.maintainer, c.ownership_status, c.property_kind,
     c.management_kind, c.address, c.road, c.surveyed_on, c.accuracy, c.note, c.attributes)
    is distinct from
    (n.class, n.scheme, n.code, n.name, n.state, n.authority, n.owner, n.maintainer, n.ownership_status, n.property_kind,
     n.management_kind, n.address, n.road, n.surveyed_on, n.accuracy, n.note, n.attributes))
from import_next n
cross join lateral (select c.* from component c where c.id = n.id offset 0) c";
