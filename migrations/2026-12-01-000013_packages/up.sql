set local role vesta_owner;

-- Guides that a tenant added to those that come with the program, as facts (zstd). They are public texts of
-- others, not data of anybody, and are not sealed.
create table packages (
  added bigint not null,
  tenant int not null,
  name text not null,
  version text not null,
  digest bytea not null,         -- SHA-256 of the archive
  facts bytea not null,
  constraint packages_pkey primary key (tenant, name, version)
);
select wall_by_tenant('packages');
grant select, insert, update, delete on packages to vesta_app;

-- Counts the changes of what is legal for a tenant, so that every server can tell that there was one.
create table rule_versions (
  version bigint not null,
  tenant int not null,
  constraint rule_versions_pkey primary key (tenant)
);
select wall_by_tenant('rule_versions');
grant select, insert, update on rule_versions to vesta_app;

-- Search parameters beside those that come with the program, once everything that is stored can be found by
-- them. `digest` is of the definition: another definition is another parameter.
create table built_search_parameters (
  built bigint not null,
  tenant int not null,
  type smallint not null,
  code text not null,
  digest bytea not null,
  constraint built_search_parameters_pkey primary key (tenant, type, code)
);
select wall_by_tenant('built_search_parameters');
grant select, insert, update, delete on built_search_parameters to vesta_app;

reset role;
