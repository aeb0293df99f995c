-- How many components lie in each tile of zoom 22; from it the heaviest tiles of every zoom are found.
create schema if not exists bench;
drop table if exists bench.heavy;
create table bench.heavy as
select
  floor((st_x(p.at) / 360.0 + 0.5) * 4194304.0)::bigint as x,
  floor((0.5 - ln((1.0 + s.sin) / (1.0 - s.sin)) / (4.0 * pi())) * 4194304.0)::bigint as y,
  count(*) as n
from component v
cross join lateral (select case when geometrytype(v.geom) = 'POINT' then v.geom else st_centroid(v.geom) end as at) p
cross join lateral (select sin(radians(st_y(p.at))) as sin) s
where v.state <> 'retired'
group by 1, 2;
analyze bench.heavy;
