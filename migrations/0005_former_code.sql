-- Codes that were given up: they are never given to another component, and lead to what has another code now.

create table former_code (
  entity text not null,
  scheme text not null,
  code text not null,
  id bigint not null,
  until date not null,
  constraint former_code_pkey primary key (code, entity, scheme),
  constraint former_code_entity_known check (entity in ('component', 'area', 'cell'))
);
comment on table former_code is 'A code and what had it until a day; scheme is empty for areas. What goes back to an old code of its own keeps the row.';

insert into former_code (entity, scheme, code, id, until)
select distinct on (v.scheme, v.code) 'component', v.scheme, v.code, v.id, coalesce(r.recorded, now())::date
from component_version v
join component c on c.id = v.id
left join component_version n on n.id = v.id and n.version = v.version + 1
left join revision r on r.txn = n.txn
where v.code is not null and (v.scheme, v.code) is distinct from (c.scheme, c.code)
  and not exists (select from component o where o.scheme = v.scheme and o.code = v.code)
order by v.scheme, v.code, v.version desc;

-- The day on which a change of districts takes effect stands in lamppost.on.
create function code_left_on() returns date language sql stable as $$
  select coalesce(nullif(current_setting('lamppost.on', true), '')::date, current_date)
$$;

create function component_recoded() returns trigger language plpgsql as $$
begin
  insert into former_code (entity, scheme, code, id, until)
  select 'component', o.scheme, o.code, o.id, code_left_on()
  from old_rows o join new_rows n using (id)
  where o.code is not null and (o.scheme, o.code) is distinct from (n.scheme, n.code)
  on conflict on constraint former_code_pkey do nothing;
  return null;
end
$$;
create trigger component_recoded after update on component
  referencing old table as old_rows new table as new_rows for each statement execute function component_recoded();

create function cell_recoded() returns trigger language plpgsql as $$
begin
  insert into former_code (entity, scheme, code, id, until)
  select 'cell', o.scheme, o.code, o.id, code_left_on()
  from old_rows o join new_rows n using (id)
  where (o.scheme, o.code) is distinct from (n.scheme, n.code)
  on conflict on constraint former_code_pkey do update set id = excluded.id, until = excluded.until;
  return null;
end
$$;
create trigger cell_recoded after update on cell
  referencing old table as old_rows new table as new_rows for each statement execute function cell_recoded();

create function area_recoded() returns trigger language plpgsql as $$
begin
  insert into former_code (entity, scheme, code, id, until)
  select 'area', '', o.code, o.id, code_left_on()
  from old_rows o join new_rows n using (id)
  where o.code <> n.code
  on conflict on constraint former_code_pkey do update set id = excluded.id, until = excluded.until;
  return null;
end
$$;
create trigger area_recoded after update on area
  referencing old table as old_rows new table as new_rows for each statement execute function area_recoded();

create function component_code_unused() returns trigger language plpgsql as $$
declare
  taken record;
begin
  select f.scheme, f.code, f.id into taken
  from new_rows n join former_code f on f.entity = 'component' and f.scheme = n.scheme and f.code = n.code
  where f.id <> n.id
  limit 1;
  if found then
    raise exception 'code % was that of component %, and codes are not used again', taken.code, taken.id
      using errcode = 'unique_violation', constraint = 'component_code_former';
  end if;
  return null;
end
$$;
create trigger component_code_unused_inserted after insert on component
  referencing new table as new_rows for each statement execute function component_code_unused();
create trigger component_code_unused_updated after update on component
  referencing new table as new_rows for each statement execute function component_code_unused();
