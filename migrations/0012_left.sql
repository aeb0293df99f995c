-- Where components stood before they were moved. What stood in a window at a past moment is what stands there today and what has left
-- it since: of the first, memory knows; of the second, this table. Few components are ever moved, so it is small.

create table component_left (
  id bigint not null,
  version bigint not null,
  geom geometry(Geometry, 4326) not null,
  constraint component_left_pkey primary key (id, version)
);
create index component_left_geom_gist on component_left using gist (geom);
comment on table component_left is 'The last version of a component at a place that it has left, and that place.';

insert into component_left (id, version, geom)
select o.id, o.version, o.geom
from component_version n join component_version o on o.id = n.id and o.version = n.version - 1
where n.version > 1 and not st_orderingequals(n.geom, o.geom);

create or replace function component_before() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    perform pg_advisory_xact_lock_shared(7261001);
    new.version := 1;
    new.cell := cell_covering(new.geom);
  else
    new.version := old.version;
    if not st_orderingequals(new.geom, old.geom) then
      perform pg_advisory_xact_lock_shared(7261001);
      new.cell := cell_covering(new.geom);
      insert into component_left (id, version, geom) values (old.id, old.version, old.geom)
      on conflict on constraint component_left_pkey do nothing;
    else
      new.geom := old.geom;
    end if;
    if new is not distinct from old then
      return null;
    end if;
    if new.id <> old.id then
      raise exception 'the id of a component is permanent' using errcode = 'check_violation', constraint = 'component_id_permanent';
    end if;
    new.version := old.version + 1;
  end if;
  return new;
end
$$;

create trigger component_left_never_deleted before delete or truncate or update on component_left
  for each statement execute function never_deleted();
