set local role vesta_owner;

-- Closure tables that clients keep: which codes each has told, and at which version. They name nobody's record.
create table closures (
  tenant int not null,
  version int not null,
  owner text not null,           -- the client and on whose behalf it keeps the table
  name text not null,
  constraint closures_pkey primary key (tenant, owner, name)
);
select wall_by_tenant('closures');
grant select, insert, update, delete on closures to vesta_app;

create table closure_codes (
  tenant int not null,
  version int not null,          -- of the table once the code was in it
  owner text not null,
  name text not null,
  system text not null,
  code text not null,
  constraint closure_codes_pkey primary key (tenant, owner, name, system, code)
);
select wall_by_tenant('closure_codes');
grant select, insert, update, delete on closure_codes to vesta_app;

reset role;
