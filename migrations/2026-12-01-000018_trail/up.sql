set local role vesta_owner;

-- How far each receiver of the trail outside was served: events up to `place` of the chain, checkpoints up to
-- that count. One server at a time sends, for as long as it holds the lease.
create table audit_cursors (
  place bigint not null,
  checkpoint bigint not null,
  moved bigint not null,
  leased_until bigint not null,
  holder uuid not null,
  tenant int not null,
  target text not null,
  constraint audit_cursors_pkey primary key (tenant, target)
);
select wall_by_tenant('audit_cursors');
grant select, insert, update on audit_cursors to vesta_app;

-- Months of the trail that were written to a file and proved there, signed: from place `first` to `last` of the chain.
-- Only with such a row may a month be dropped, and without one its events are missing.
create table audit_archives (
  first bigint not null,
  last bigint not null,
  low bigint not null,            -- the ids of the month: from here,
  high bigint not null,           -- and below this one
  archived bigint not null,
  tenant int not null,
  month text not null,
  before bytea not null,          -- the hash before the first event
  head bytea not null,            -- the hash of the last
  key_id text not null,
  signature bytea not null,
  constraint audit_archives_pkey primary key (tenant, month)
);
create trigger audit_archives_append_only before update or delete or truncate on audit_archives
  for each statement execute function refuse_change();
select wall_by_tenant('audit_archives');
grant select, insert on audit_archives to vesta_app;

-- Drops a month of the trail, such as 2020_01: after six years, and only when it is archived for every tenant. The
-- application may not call it.
create function drop_audit_month(month text, now_microseconds bigint) returns void
  language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
  name text := 'audit_events_' || month;
  start timestamp := to_timestamp(month, 'YYYY_MM') at time zone 'UTC';
  today timestamp := to_timestamp(now_microseconds / 1000000.0) at time zone 'UTC';
  tenant_id int;
  is_open boolean;
begin
  if today < start + interval '1 month' + interval '6 years' then
    raise exception 'the trail is kept for six years' using errcode = 'restrict_violation';
  end if;
  if to_regclass(format('public.%I', name)) is null then
    raise exception 'there is no such month' using errcode = 'invalid_parameter_value';
  end if;
  for tenant_id in select id from public.tenants loop
    perform set_config('vesta.tenant', tenant_id::text, true);
    execute format(
      'select exists (select from public.audit_events e join pg_class c on c.oid = e.tableoid '
      'where e.tenant = $1 and c.relname = $2) '
      'and not exists (select from public.audit_archives a where a.tenant = $1 and a.month = $3)')
      into is_open using tenant_id, name, month;
    if is_open then
      raise exception 'the month is not archived for every tenant' using errcode = 'restrict_violation';
    end if;
  end loop;
  execute format('alter table public.audit_events detach partition public.%I', name);
  execute format('drop table public.%I', name);
end
$$;
revoke execute on function drop_audit_month(text, bigint) from public;

reset role;
