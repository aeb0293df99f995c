-- What Martin serves. {layer}, {detail} and {classes} are filled in.
drop schema if exists bench cascade;
drop index if exists component_bench_gist;
create schema bench;

-- `bench.tile` reads a copy of the layer's components for which everything is done in advance that can be: EPSG:3857, positions as
-- whole numbers, the owner's code, a clustered GiST index. The copy knows of no edit.

create table bench.point as
select v.id, c.code as class, v.state, v.ownership_status, p.code as owner,
  -- Steps of 2^-32 of the Web Mercator square, from its north-west corner: the leading bits are tile, bin and pixel.
  floor((st_x(v.geom) / 360.0 + 0.5) * 4294967296.0)::bigint as wx,
  floor((0.5 - ln((1.0 + s.sin) / (1.0 - s.sin)) / (4.0 * pi())) * 4294967296.0)::bigint as wy,
  st_transform(v.geom, 3857)::geometry(Point, 3857) as geom
from component v
join class c on c.id = v.class
left join party p on p.id = v.owner
cross join lateral (select sin(radians(st_y(v.geom))) as sin) s
where v.class = any({classes}) and v.state <> 'retired';

create index point_geom_gist on bench.point using gist (geom);
cluster bench.point using point_geom_gist;
analyze bench.point;

create function bench.tile(z integer, x integer, y integer) returns bytea language plpgsql stable parallel safe as $$
begin
  if z >= {detail} then
    return (
      select st_asmvt(t, '{layer}', 4096, 'geom', 'id') from (
        select id, class, state, ownership_status, owner,
          st_makepoint((wx >> (20 - z)) - x * 4096, (wy >> (20 - z)) - y * 4096) as geom
        from bench.point
        -- The index has boxes of single precision and finds a little too much.
        where geom && st_tileenvelope(z, x, y, margin => 64.0 / 4096)
          and (wx >> (20 - z)) - x * 4096 between -64 and 4159 and (wy >> (20 - z)) - y * 4096 between -64 and 4159
      ) t);
  end if;
  return (
    select st_asmvt(t, '{layer}', 4096, 'geom', 'id') from (
      select
        case when n = 1 then id end as id,
        case when n = 1 then class end as class,
        case when n = 1 then state end as state,
        case when n = 1 then ownership_status end as ownership_status,
        case when n = 1 then owner end as owner,
        case when n > 1 then n end as point_count,
        case when n > 1 then nullif(intact, 0) end as intact,
        case when n > 1 then nullif(damaged, 0) end as damaged,
        case when n > 1 then nullif(missing, 0) end as missing,
        case when n > 1 then nullif(abandoned, 0) end as abandoned,
        case when n > 1 then nullif(unsurveyed, 0) end as unsurveyed,
        case when n > 1 then nullif(proposed, 0) end as proposed,
        case when n > 1 then nullif(confirmed, 0) end as confirmed,
        case when n > 1 then nullif(disputed, 0) end as disputed,
        case when n > 1 then nullif(unclaimed, 0) end as unclaimed,
        case when n > 1 then nullif(designated, 0) end as designated,
        st_makepoint(((sum_x / n) >> (20 - z)) - x * 4096, ((sum_y / n) >> (20 - z)) - y * 4096) as geom
      from (
        select count(*) as n, sum(wx)::bigint as sum_x, sum(wy)::bigint as sum_y,
          min(id) as id, min(class) as class, min(state) as state, min(ownership_status) as ownership_status, min(owner) as owner,
          count(*) filter (where state = 'intact') as intact,
          count(*) filter (where state = 'damaged') as damaged,
          count(*) filter (where state = 'missing') as missing,
          count(*) filter (where state = 'abandoned') as abandoned,
          count(*) filter (where ownership_status = 'unsurveyed') as unsurveyed,
          count(*) filter (where ownership_status = 'proposed') as proposed,
          count(*) filter (where ownership_status = 'confirmed') as confirmed,
          count(*) filter (where ownership_status = 'disputed') as disputed,
          count(*) filter (where ownership_status = 'unclaimed') as unclaimed,
          count(*) filter (where ownership_status = 'designated') as designated
        from bench.point
        where geom && st_tileenvelope(z, x, y) and wx >> (32 - z) = x and wy >> (32 - z) = y
        group by wx >> (26 - z), wy >> (26 - z)
      ) bin
    ) t);
end
$$;

-- `bench.live` reads the register itself, as Martin without a cache must where edits are to be seen: EPSG:4326, the class and the
-- owner in their own tables, and an index made for the layer.
create index component_bench_gist on component using gist (st_transform(geom, 3857))
  where class = any({classes}) and state <> 'retired';
analyze component;

create function bench.live(z integer, x integer, y integer) returns bytea language plpgsql stable parallel safe as $$
declare
  envelope geometry := st_tileenvelope(z, x, y);
  x0 float8 := st_xmin(envelope);
  y0 float8 := st_ymax(envelope);
  size float8 := st_xmax(envelope) - st_xmin(envelope);
begin
  if z >= {detail} then
    return (
      select st_asmvt(t, '{layer}', 4096, 'geom', 'id') from (
        select v.id, c.code as class, v.state, v.ownership_status, p.code as owner,
          st_asmvtgeom(st_transform(v.geom, 3857), envelope, 4096, 64, true) as geom
        from component v
        join class c on c.id = v.class
        left join party p on p.id = v.owner
        where st_transform(v.geom, 3857) && st_tileenvelope(z, x, y, margin => 64.0 / 4096)
          and v.class = any({classes}) and v.state <> 'retired'
      ) t);
  end if;
  return (
    select st_asmvt(t, '{layer}', 4096, 'geom', 'id') from (
      select
        case when n = 1 then id end as id,
        case when n = 1 then class end as class,
        case when n = 1 then state end as state,
        case when n = 1 then ownership_status end as ownership_status,
        case when n = 1 then owner end as owner,
        case when n > 1 then n end as point_count,
        case when n > 1 then nullif(intact, 0) end as intact,
        case when n > 1 then nullif(damaged, 0) end as damaged,
        case when n > 1 then nullif(missing, 0) end as missing,
        case when n > 1 then nullif(abandoned, 0) end as abandoned,
        case when n > 1 then nullif(unsurveyed, 0) end as unsurveyed,
        case when n > 1 then nullif(proposed, 0) end as proposed,
        case when n > 1 then nullif(confirmed, 0) end as confirmed,
        case when n > 1 then nullif(disputed, 0) end as disputed,
        case when n > 1 then nullif(unclaimed, 0) end as unclaimed,
        case when n > 1 then nullif(designated, 0) end as designated,
        st_makepoint(floor((mean_x - x0) / size * 4096), floor((y0 - mean_y) / size * 4096)) as geom
      from (
        select count(*) as n, avg(st_x(at)) as mean_x, avg(st_y(at)) as mean_y,
          min(id) as id, min(class) as class, min(state) as state, min(ownership_status) as ownership_status, min(owner) as owner,
          count(*) filter (where state = 'intact') as intact,
          count(*) filter (where state = 'damaged') as damaged,
          count(*) filter (where state = 'missing') as missing,
          count(*) filter (where state = 'abandoned') as abandoned,
          count(*) filter (where ownership_status = 'unsurveyed') as unsurveyed,
          count(*) filter (where ownership_status = 'proposed') as proposed,
          count(*) filter (where ownership_status = 'confirmed') as confirmed,
          count(*) filter (where ownership_status = 'disputed') as disputed,
          count(*) filter (where ownership_status = 'unclaimed') as unclaimed,
          count(*) filter (where ownership_status = 'designated') as designated
        from (
          select v.id, c.code as class, v.state, v.ownership_status, p.code as owner, st_transform(v.geom, 3857) as at
          from component v
          join class c on c.id = v.class
          left join party p on p.id = v.owner
          where st_transform(v.geom, 3857) && envelope and v.class = any({classes}) and v.state <> 'retired'
          offset 0 -- Transforms each once, not wherever it is used.
        ) point
        where st_x(at) >= x0 and st_x(at) < x0 + size and st_y(at) <= y0 and st_y(at) > y0 - size
        group by floor((st_x(at) - x0) / size * 64), floor((y0 - st_y(at)) / size * 64)
      ) bin
    ) t);
end
$$;
