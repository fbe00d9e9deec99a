do $$
declare
  name text;
begin
  for name in select tablename from pg_tables where schemaname = 'resource' loop
    execute format('drop table resource.%I', name);
  end loop;
end
$$;
drop table changes;
drop table versions;
drop function create_resource_table(text, boolean, boolean, boolean, boolean);
revoke usage on schema resource from vesta_app;
