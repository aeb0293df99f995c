-- Random edits of the register: `total` of them, committed `at_once` at a time. Each changes state and ownership status, and one
-- in three moves a point by about a metre.
create schema if not exists bench;
create or replace procedure bench.edit_at_random(total int, at_once int) language plpgsql as $$
declare
  done int := 0;
  n int;
  last bigint := (select max(id) from component);
begin
  while done < total loop
    update component c set
      state = (array['intact', 'damaged', 'missing', 'abandoned'])[1 + e.dice % 4],
      ownership_status = (array['unsurveyed', 'proposed', 'confirmed', 'disputed', 'unclaimed', 'designated'])[1 + e.dice / 4 % 6],
      geom = case when e.dice / 24 % 3 = 0 and geometrytype(c.geom) = 'POINT'
        then st_translate(c.geom, (e.dice / 72 % 10 - 4.5) * 2e-6, (e.dice / 720 % 10 - 4.5) * 2e-6)
        else c.geom end
    from (
      select distinct on (id) id, dice from (
        select 1 + floor(random() * last)::bigint as id, floor(random() * 1000000)::int as dice
        from generate_series(1, at_once)
      ) drawn
    ) e
    where c.id = e.id and c.state <> 'retired';
    get diagnostics n = row_count;
    done := done + greatest(n, 1);
    commit;
  end loop;
end
$$;
