set local role vesta_owner;

-- A superseded version never changes but for its seals, when the key of its patient does.
grant update (body) on versions to vesta_app;

-- Who may not be destroyed: a patient, or (subject 0) the whole tenant. A lifted hold keeps its row.
create table legal_holds (
  id uuid not null,
  subject bigint not null,
  placed bigint not null,
  lifted bigint,
  tenant int not null,
  placed_by text not null,
  lifted_by text,
  reason bytea not null,               -- sealed
  constraint legal_holds_pkey primary key (tenant, id)
);
create unique index legal_holds_standing_unique on legal_holds (tenant, subject) where lifted is null;
select wall_by_tenant('legal_holds');
grant select, insert on legal_holds to vesta_app;
grant update (lifted, lifted_by) on legal_holds to vesta_app;

-- Who shall be destroyed, asked for by one officer, until another agrees or the time is up.
create table shred_requests (
  id uuid not null,
  subject bigint not null,
  requested bigint not null,
  expires bigint not null,
  done bigint,
  tenant int not null,
  requested_by text not null,
  approved_by text,
  constraint shred_requests_pkey primary key (tenant, id),
  constraint shred_requests_two_officers check (approved_by <> requested_by)
);
create index shred_requests_open on shred_requests (tenant, subject) where done is null;
select wall_by_tenant('shred_requests');
grant select, insert on shred_requests to vesta_app;
grant update (done, approved_by) on shred_requests to vesta_app;

create function refuse_held(victim bigint) returns void
  language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if exists (select from public.legal_holds where tenant = current_setting('vesta.tenant')::int
      and subject in (0, victim) and lifted is null) then
    raise exception 'a legal hold stands' using errcode = 'restrict_violation';
  end if;
end
$$;

-- Destroys the keys of one patient, and removes their rows: of these types, whose tables and numbers stand side
-- by side. With `these`, the keys stay, and no other rows go: for what was written while the key was destroyed.
-- The server itself may delete none of this.
create function shred_patient(victim bigint, at bigint, names text[], codes smallint[], these bigint[]) returns bigint
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  of_tenant int := current_setting('vesta.tenant')::int;
  place int;
  gone bigint;
  removed bigint := 0;
begin
  if victim = 0 then
    raise exception 'subject 0 is no patient' using errcode = 'invalid_parameter_value';
  end if;
  perform public.refuse_held(victim);
  if these is null then
    update public.keys set wrapped = null, is_active = false, destroyed = at
      where tenant = of_tenant and purpose = 4 and subject = victim and wrapped is not null;
  end if;
  for place in 1 .. coalesce(cardinality(names), 0) loop
    if to_regclass(format('resource.%I', lower(names[place]))) is null then
      continue;
    end if;
    execute format($statement$
      with gone as (
        delete from resource.%1$I where tenant = $1 and patient = $2 and ($4 is null or rid = any($4))
        returning rid, updated, version),
      older as (
        delete from public.versions as v using gone where v.tenant = $1 and v.type = $3 and v.rid = gone.rid
          and (v.patient is null or v.patient = $2)
        returning v.rid, v.updated, v.version),
      fed as (
        delete from public.changes as c using (select * from gone union all select * from older) as it
        where c.tenant = $1 and c.type = $3 and c.at = it.updated and c.rid = it.rid and c.version = it.version),
      dates as (delete from resource.%2$I as d using gone where d.rid = gone.rid),
      numbers as (delete from resource.%3$I as n using gone where n.rid = gone.rid)
      select count(*) from gone$statement$,
      lower(names[place]), lower(names[place]) || '_dates', lower(names[place]) || '_numbers')
      into gone using of_tenant, victim, codes[place], these;
    removed := removed + gone;
  end loop;
  return removed;
end
$$;
revoke execute on function shred_patient(bigint, bigint, text[], smallint[], bigint[]) from public;
grant execute on function shred_patient(bigint, bigint, text[], smallint[], bigint[]) to vesta_app;

-- Destroys every key of the session's tenant, and removes all its rows but the trail and what says why.
create function shred_tenant(at bigint) returns bigint
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  of_tenant int := current_setting('vesta.tenant')::int;
  emptied regclass;
  gone bigint;
  removed bigint := 0;
begin
  if exists (select from public.legal_holds where tenant = of_tenant and lifted is null) then
    raise exception 'a legal hold stands' using errcode = 'restrict_violation';
  end if;
  update public.keys set wrapped = null, is_active = false, destroyed = at
    where tenant = of_tenant and wrapped is not null;
  for emptied in
    select c.oid::regclass from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped
    where n.nspname in ('public', 'resource') and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname not like 'audit\_%' and c.relname not in ('keys', 'legal_holds', 'shred_requests')
    order by c.oid::regclass::text
  loop
    execute format('delete from %s where tenant = $1', emptied) using of_tenant;
    get diagnostics gone = row_count;
    removed := removed + gone;
  end loop;
  return removed;
end
$$;
revoke execute on function shred_tenant(bigint) from public;
grant execute on function shred_tenant(bigint) to vesta_app;

reset role;
