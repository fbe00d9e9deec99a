-- The roles stay: they belong to the whole cluster, and other databases may use them.
drop function refuse_change();
drop function wall_by_tenant(regclass);
drop function current_tenant();
drop table tenants;
drop schema resource;
do $$
begin
  if (select rolsuper from pg_roles where rolname = current_user) then
    alter function pg_catalog.arraycontains(anyarray, anyarray) not leakproof;
  end if;
end
$$;
revoke usage, create on schema public from vesta_owner;
revoke usage on schema public from vesta_app;
