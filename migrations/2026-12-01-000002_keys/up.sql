set local role vesta_owner;

-- Wrapped keys; the key that unwraps them is never here. `subject` is the keyed hash of what the key
-- belongs to (a patient), or 0 for the tenant's own. A destroyed key keeps its row, without the key.
create table keys (
  subject bigint not null,
  created bigint not null,
  destroyed bigint,
  tenant int not null,
  purpose smallint not null,
  epoch smallint not null,
  is_active boolean not null,
  wrapped bytea,
  constraint keys_pkey primary key (tenant, purpose, subject, epoch),
  constraint keys_destroyed_without_key check ((destroyed is null) = (wrapped is not null)),
  constraint keys_destroyed_not_active check (not (is_active and destroyed is not null))
);
create unique index keys_active_unique on keys (tenant, purpose, subject) where is_active;
select wall_by_tenant('keys');
grant select, insert on keys to vesta_app;
grant update (wrapped, is_active, destroyed) on keys to vesta_app;

reset role;
