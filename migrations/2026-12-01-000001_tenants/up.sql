-- Two roles keep the promises that a program cannot keep for itself. vesta_owner owns every table and
-- no one logs in as it; vesta_app is what the server runs as: it owns nothing, so it can neither alter
-- a table nor step around row-level security, and it may touch only what is granted to it below.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['vesta_owner', 'vesta_app'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception
        when duplicate_object or unique_violation then
          null;
        when insufficient_privilege then
          raise exception 'the role % is missing and % may not create it', role_name, current_user
            using hint = 'let an administrator run: create role vesta_owner nologin; '
              'create role vesta_app nologin; grant vesta_owner, vesta_app to ' || quote_ident(current_user);
      end;
    end if;
    if not pg_has_role(current_user, role_name, 'member') then
      execute format('grant %I to %I', role_name, current_user);
    end if;
  end loop;
end
$$;

grant usage, create on schema public to vesta_owner;
grant usage on schema public to vesta_app;
create schema resource authorization vesta_owner;

-- Under row-level security an index serves only operators that are known not to leak what they see, and
-- PostgreSQL does not know it of `@>` on arrays, which compares 64-bit hashes here. Only a superuser may
-- say so; where none runs the migration, the README tells the administrator what to do.
do $$
begin
  if (select rolsuper from pg_roles where rolname = current_user) then
    alter function pg_catalog.arraycontains(anyarray, anyarray) leakproof;
  end if;
end
$$;

set local role vesta_owner;

create table tenants (
  id int not null,
  slug text not null,
  constraint tenants_pkey primary key (id),
  constraint tenants_slug_unique unique (slug)
);
grant select on tenants to vesta_app;
insert into tenants (id, slug) values (1, 'default');

-- What a row is for: the tenant of the session. Without one, every statement fails.
create function current_tenant() returns int
  language sql stable parallel safe
  return current_setting('vesta.tenant')::int;

-- A table that belongs to tenants: whatever is asked of it, only the session's tenant is there.
create function wall_by_tenant(walled regclass) returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', walled);
  execute format('alter table %s force row level security', walled);
  execute format(
    'create policy of_the_tenant on %s using (tenant = current_setting(''vesta.tenant'')::int)', walled);
end
$$;

-- A table that is only ever added to, whoever asks: grants hold back the server, this holds back its owner.
create function refuse_change() returns trigger
  language plpgsql as $$
begin
  raise exception 'table % is only ever added to', tg_table_name using errcode = 'restrict_violation';
end
$$;

reset role;
