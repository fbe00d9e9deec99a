set local role vesta_owner;

-- Big code systems that a tenant imported: public texts of others, under licences of the tenant's, not sealed.
create table imported_systems (
  imported bigint not null,
  tenant int not null,
  system smallint not null,      -- 1 LOINC, 2 RxNorm, 3 SNOMED CT, 4 ICD-10-CM
  version text not null,
  constraint imported_systems_pkey primary key (tenant, system)
);
select wall_by_tenant('imported_systems');
grant select, insert, update, delete on imported_systems to vesta_app;

create table concepts (
  tenant int not null,
  system smallint not null,
  active smallint not null,      -- 1 it is, 0 it is not, -1 nothing is said
  code text not null,
  display text,
  properties text not null,      -- a line for each: code, tab, value
  constraint concepts_pkey primary key (tenant, system, code)
);
select wall_by_tenant('concepts');
grant select, insert, update, delete on concepts to vesta_app;

create table concept_parents (
  tenant int not null,
  system smallint not null,
  child text not null,
  parent text not null,
  constraint concept_parents_pkey primary key (tenant, system, child, parent)
);
create index concept_parents_parent on concept_parents (tenant, system, parent);
select wall_by_tenant('concept_parents');
grant select, insert, update, delete on concept_parents to vesta_app;

reset role;
