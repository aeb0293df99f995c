-- One total order of committed transactions, whoever writes: this service on any node, an import, or psql by hand.
--
-- A trigger leaves what changed in `change` and one row per transaction in `pending`. After the commit, whoever holds the
-- advisory lock moves committed pending rows into `revision`, ordered by the last change number that each transaction drew
-- under its row locks: two edits of one component never swap, and no number is ever skipped.

create sequence change_no;
create sequence txn_no;

create table pending (
  txn bigint not null default nextval('txn_no') constraint pending_pkey primary key,
  xid xid8 not null constraint pending_xid_key unique,
  last_no bigint not null,
  actor text not null,
  reason text
);

create table revision (
  number bigint constraint revision_pkey primary key,
  txn bigint not null constraint revision_txn_key unique,
  recorded timestamptz not null,
  actor text not null,
  reason text,
  constraint revision_number_positive check (number > 0)
);
create index revision_recorded_idx on revision (recorded);
comment on table revision is 'One committed transaction and its number in the one total order; recorded rises with number.';

create table change (
  txn bigint not null,
  no bigint not null default nextval('change_no'),
  entity text not null,
  id bigint not null,
  version bigint,
  constraint change_pkey primary key (txn, no),
  constraint change_entity_known check (entity in ('component', 'area', 'cell', 'party', 'class', 'road', 'land'))
);
comment on table change is 'What a transaction touched. A component''s before and after are its versions version - 1 and version.';

-- The transaction's number, drawn at its first change; each call draws a later change number, under the locks of the rows changed.
create function current_txn() returns bigint language sql volatile as $$
  insert into pending (xid, last_no, actor, reason)
  values (
    pg_current_xact_id(),
    nextval('change_no'),
    coalesce(nullif(current_setting('lamppost.actor', true), ''), session_user),
    nullif(current_setting('lamppost.reason', true), ''))
  on conflict on constraint pending_xid_key do update set last_no = excluded.last_no
  returning txn
$$;

create function cell_covering(g geometry) returns int language sql stable as $$
  select id from cell
  where valid and st_covers(geom, case when geometrytype(g) = 'POINT' then g else st_pointonsurface(g) end)
  order by code, scheme
  limit 1
$$;
comment on function cell_covering is 'A point on a border is covered by both cells and belongs to the one with the lowest code.';

-- Cells change rarely and all at once; a component written meanwhile must not keep a cell of the old division.
create function component_before() returns trigger language plpgsql as $$
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
create trigger component_before before insert or update on component
  for each row execute function component_before();

create function component_after() returns trigger language plpgsql as $$
declare
  t bigint;
begin
  if not exists (select from new_rows) then
    return null;
  end if;
  t := current_txn();
  insert into component_version select t, n.* from new_rows n;
  insert into change (txn, entity, id, version) select t, 'component', id, version from new_rows;
  perform current_txn();
  return null;
end
$$;
create trigger component_inserted after insert on component
  referencing new table as new_rows for each statement execute function component_after();
create trigger component_updated after update on component
  referencing new table as new_rows for each statement execute function component_after();

create function entity_after() returns trigger language plpgsql as $$
declare
  t bigint;
begin
  if not exists (select from new_rows) then
    return null;
  end if;
  t := current_txn();
  insert into change (txn, entity, id) select t, tg_table_name, id from new_rows;
  perform current_txn();
  return null;
end
$$;

create function never_deleted() returns trigger language plpgsql as $$
begin
  raise exception 'nothing is deleted from %: retire it or mark it no longer valid', tg_table_name
    using errcode = 'restrict_violation', constraint = tg_table_name || '_never_deleted';
end
$$;
create trigger component_never_deleted before delete or truncate on component
  for each statement execute function never_deleted();
create trigger component_version_never_deleted before delete or truncate or update on component_version
  for each statement execute function never_deleted();

do $$
declare
  t text;
begin
  foreach t in array array['area', 'cell', 'party', 'class', 'road', 'land'] loop
    execute format('create trigger %1$s_inserted after insert on %1$s referencing new table as new_rows for each statement execute function entity_after()', t);
    execute format('create trigger %1$s_updated after update on %1$s referencing new table as new_rows for each statement execute function entity_after()', t);
    execute format('create trigger %1$s_never_deleted before delete or truncate on %1$s for each statement execute function never_deleted()', t);
  end loop;
end
$$;

-- Gives numbers to committed transactions. Call inside a transaction that already holds the advisory lock 7261002, taken by an
-- earlier statement, so that this statement's snapshot sees every transaction that committed before the lock was granted.
create function number_revisions() returns bigint language sql volatile as $$
  with moved as (
    delete from pending returning txn, last_no, actor, reason
  ), head as (
    select coalesce((select number from revision order by number desc limit 1), 0) as number,
           greatest(clock_timestamp(), (select recorded + interval '1 microsecond' from revision order by number desc limit 1)) as recorded
  ), numbered as (
    insert into revision (number, txn, recorded, actor, reason)
    select head.number + row_number() over w, txn, head.recorded + (row_number() over w - 1) * interval '1 microsecond', actor, reason
    from moved, head
    window w as (order by last_no)
    returning number
  )
  select max(number) from numbered
$$;
