set local role vesta_owner;
grant usage on schema resource to vesta_app;

-- One table per resource type, all from this template, made when the type is first used.
--
-- A resource keeps one row for ever, the deleted ones too (deed 3): so versions go on when it is created
-- again, and a reader is told that it is gone. `updated` is not indexed, and columns that do not change
-- are written as they were, so that an update can stay on its page.
-- `patient`, `code` and `keys` are keyed hashes: the index says nothing in the clear.
create function create_resource_table(
  resource_type text, has_date boolean, has_code boolean, has_quantity boolean, is_target boolean
) returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  name text := lower(resource_type);
  side text;
begin
  if resource_type !~ '^[A-Z][A-Za-z]{1,49}$' then
    raise exception 'not the name of a resource type' using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('create_resource_table', 0));
  if to_regclass(format('resource.%I', name)) is not null then
    return;
  end if;
  execute format($table$
    create table resource.%1$I (
      rid bigint not null,           -- minted by the server, ordered by time: milliseconds, node, sequence
      updated bigint not null,       -- meta.lastUpdated, microseconds
      reference bigint not null,     -- the keyed hash of Type/id: the keys of those who refer here are made of it
      patient bigint,                -- the one patient whose compartment it is in
      date_low bigint,               -- the type's clinical date, microseconds
      date_high bigint,
      code bigint,                   -- the first coding of the type's clinical code
      quantity_low float8,           -- the value in its canonical unit
      quantity_high float8,
      unit bigint,                   -- that unit
      number_low float8,             -- the value as it stands
      number_high float8,
      id uuid not null,              -- the logical id, or a keyed hash of it
      tenant int not null,
      version int not null,
      deed smallint not null,        -- 1 created, 2 updated, 3 deleted
      id_text text,                  -- the logical id, where it is not a UUID
      keys bigint[] not null,        -- every equality key
      body bytea not null,           -- sealed; empty when deleted
      constraint %2$I primary key (tenant, rid),
      constraint %3$I unique (tenant, id)
    ) with (
      fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
      autovacuum_analyze_scale_factor = 0.02
    )$table$, name, name || '_pkey', name || '_id_unique');
  execute format('alter table resource.%I alter body set storage external', name);
  execute format('alter table resource.%I alter keys set statistics 1000', name);
  execute format('create index %I on resource.%I (patient, date_low) where patient is not null',
    name || '_patient_date', name);
  execute format('create index %I on resource.%I using gin (keys) with (fastupdate = on, gin_pending_list_limit = 1024)',
    name || '_keys', name);
  if is_target then
    execute format('create index %I on resource.%I (reference)', name || '_reference', name);
  end if;
  if has_date then
    execute format('create index %I on resource.%I (tenant, date_low)', name || '_date', name);
    -- What lasts longer than 32 days is found by its end: no farther back than that does the server look for the rest.
    execute format('create index %I on resource.%I (tenant, date_high) where date_high - 2764800000000 > date_low',
      name || '_long_date', name);
  end if;
  if has_code then
    execute format('create index %I on resource.%I (code, date_low) where code is not null',
      name || '_code_date', name);
  end if;
  if has_quantity then
    execute format('create index %I on resource.%I (code, quantity_low, quantity_high) where quantity_low is not null',
      name || '_code_quantity', name);
  end if;
  perform public.wall_by_tenant(format('resource.%I', name)::regclass);
  execute format('grant select, insert, update on resource.%I to vesta_app', name);

  -- The values of the other date, number and quantity parameters. `key` is the keyed hash of the
  -- parameter and its unit, so one ordered list serves one question.
  foreach side in array array['dates', 'numbers'] loop
    execute format($table$
      create table resource.%1$I (
        rid bigint not null,
        key bigint not null,
        low %2$s not null,
        high %2$s not null,
        tenant int not null,
        constraint %3$I primary key (rid, key, low, high)
      )$table$, name || '_' || side, case side when 'dates' then 'bigint' else 'float8' end,
      name || '_' || side || '_pkey');
    execute format('create index %I on resource.%I (key, low, high, rid)',
      name || '_' || side || '_order', name || '_' || side);
    perform public.wall_by_tenant(format('resource.%I', name || '_' || side)::regclass);
    execute format('grant select, insert, delete on resource.%I to vesta_app', name || '_' || side);
  end loop;
end
$$;
revoke execute on function create_resource_table(text, boolean, boolean, boolean, boolean) from public;
grant execute on function create_resource_table(text, boolean, boolean, boolean, boolean) to vesta_app;

-- What a resource was before: a row moves here when a newer version takes its place.
create table versions (
  rid bigint not null,
  updated bigint not null,
  patient bigint,
  tenant int not null,
  version int not null,
  type smallint not null,
  deed smallint not null,
  body bytea not null,
  constraint versions_pkey primary key (tenant, type, rid, version)
);
alter table versions alter body set storage external;
select wall_by_tenant('versions');
grant select, insert on versions to vesta_app;

-- The change feed: history of types and of everything, exports since, subscriptions.
create table changes (
  at bigint not null,
  rid bigint not null,
  transaction xid8 not null default pg_current_xact_id(),
  tenant int not null,
  version int not null,
  type smallint not null,
  deed smallint not null
);
create index changes_order on changes (tenant, type, at, rid, version);
select wall_by_tenant('changes');
grant select, insert on changes to vesta_app;

reset role;
