set local role vesta_owner;

-- The trail: one compact row per event. Nobody may change or remove one: the server holds no right to,
-- and the triggers refuse its owner too. `id` is ordered by time (milliseconds since 2020 above 22 bits of
-- node and sequence), so it is what the months are cut by.
create table audit_events (
  id bigint not null,
  recorded bigint not null,
  tenant int not null,
  kind smallint not null,
  outcome smallint not null,
  action "char" not null,
  request uuid,
  agent text not null,
  client text,
  purpose text,
  rule text,
  network text,
  patients bigint[] not null,
  entities bytea not null,
  detail bytea,
  constraint audit_events_pkey primary key (tenant, id)
) partition by range (id);
create index audit_events_patients on audit_events using gin (patients) with (fastupdate = on, gin_pending_list_limit = 1024);
create trigger audit_events_append_only before update or delete on audit_events
  for each row execute function refuse_change();
create trigger audit_events_no_truncate before truncate on audit_events
  for each statement execute function refuse_change();
select wall_by_tenant('audit_events');
grant select, insert on audit_events to vesta_app;

create table audit_events_rest partition of audit_events default;
create trigger audit_events_rest_no_truncate before truncate on audit_events_rest
  for each statement execute function refuse_change();
alter table audit_events_rest enable row level security;
alter table audit_events_rest force row level security;

-- Makes the partitions of some months, from the one of that instant on.
create function create_audit_partitions(from_microseconds bigint, months int) returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  start timestamp := date_trunc('month', to_timestamp(from_microseconds / 1000000.0) at time zone 'UTC');
  name text;
  low bigint;
  high bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('create_audit_partitions', 0));
  for step in 0 .. months - 1 loop
    name := 'audit_events_' || to_char(start + make_interval(months => step), 'YYYY_MM');
    low := ((extract(epoch from start + make_interval(months => step)) - 1577836800) * 1000)::bigint << 22;
    high := ((extract(epoch from start + make_interval(months => step + 1)) - 1577836800) * 1000)::bigint << 22;
    if low >= 0 and to_regclass(format('public.%I', name)) is null then
      begin
        execute format('create table public.%I partition of public.audit_events for values from (%s) to (%s)',
          name, low, high);
        execute format('create trigger %I before truncate on public.%I for each statement '
          'execute function public.refuse_change()', name || '_no_truncate', name);
        execute format('alter table public.%I enable row level security', name);
        execute format('alter table public.%I force row level security', name);
      exception when check_violation then
        -- That month already has rows among the rest: they stay there.
        raise notice 'the partition % comes too late', name;
      end;
    end if;
  end loop;
end
$$;
revoke execute on function create_audit_partitions(bigint, int) from public;
grant execute on function create_audit_partitions(bigint, int) to vesta_app;

-- The chain over the trail, link by link: each covers the events in `events`, in that order. `hashes`
-- holds their 32-byte hashes one after the other; the last is what the next link starts from.
create table audit_chain (
  first bigint not null,
  youngest bigint not null,  -- the greatest id among the events
  sealed bigint not null,
  tenant int not null,
  events bigint[] not null,
  hashes bytea not null,
  constraint audit_chain_pkey primary key (tenant, first),
  constraint audit_chain_hash_per_event check (octet_length(hashes) = 32 * cardinality(events))
);
create index audit_chain_youngest on audit_chain (tenant, youngest);
alter table audit_chain alter hashes set storage external;
create trigger audit_chain_append_only before update or delete or truncate on audit_chain
  for each statement execute function refuse_change();
select wall_by_tenant('audit_chain');
grant select, insert on audit_chain to vesta_app;

-- Signed: so many events, and this is the hash of the last.
create table audit_checkpoints (
  count bigint not null,
  signed bigint not null,
  tenant int not null,
  head bytea not null,
  key_id text not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey primary key (tenant, count)
);
create trigger audit_checkpoints_append_only before update or delete or truncate on audit_checkpoints
  for each statement execute function refuse_change();
select wall_by_tenant('audit_checkpoints');
grant select, insert on audit_checkpoints to vesta_app;

reset role;
