set local role vesta_owner;

-- A table that was filled since it was last analyzed looks to the planner as it was before, and a table that never
-- was, as if every tenant had little of it: then pages that an index has in order are sorted. Autovacuum comes within
-- a minute; the server, which knows that it is filling one, asks for statistics itself.
create function refresh_statistics(resource_type text) returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  named regclass := to_regclass(format('resource.%I', lower(resource_type)));
begin
  -- One at a time, and only where it has grown to more than twice of what is known.
  if named is not null and pg_try_advisory_xact_lock(hashtextextended('refresh_statistics', named::oid::bigint))
    and (select 2 * greatest(relpages, 0) * 8192::bigint < pg_relation_size(named) from pg_class where oid = named)
  then
    execute format('analyze %s', named);
  end if;
end
$$;
revoke execute on function refresh_statistics(text) from public;
grant execute on function refresh_statistics(text) to vesta_app;

reset role;
