set local role vesta_owner;

-- How somebody signed in, in the words of RFC 8176: apps are told it (`amr`).
alter table sessions add column methods text not null default '';

-- Providers of identities upstream, by the id that stands in our addresses. Their registrations, with the
-- secrets, are in `sealed`.
create table identity_providers (
  created bigint not null,
  disabled bigint,
  tenant int not null,
  id text not null,
  sealed bytea not null,
  constraint identity_providers_pkey primary key (tenant, id)
);
select wall_by_tenant('identity_providers');
grant select, insert, update on identity_providers to vesta_app;

-- Whose account a name at a provider is. `subject` is the keyed hash of that name.
create table identities (
  account uuid not null,
  created bigint not null,
  tenant int not null,
  provider text not null,
  subject bytea not null,
  constraint identities_pkey primary key (tenant, provider, subject)
);
create index identities_account on identities (tenant, account);
select wall_by_tenant('identities');
grant select, insert, delete on identities to vesta_app;

-- What a user lets an app have without being asked again, until it expires or is taken back.
create table consents (
  account uuid not null,
  created bigint not null,
  expires bigint not null,
  tenant int not null,
  client text not null,
  document text not null,
  constraint consents_pkey primary key (tenant, account, client)
);
create index consents_client on consents (tenant, client);
select wall_by_tenant('consents');
grant select, insert, update, delete on consents to vesta_app;

reset role;
