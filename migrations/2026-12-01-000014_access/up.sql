set local role vesta_owner;

-- Servers hold in memory what decisions need: who has which role, whose a client is, Consents, agreements. They
-- ask for what transactions did that they could not see the last time.
create function note_transaction() returns trigger
  language plpgsql as $$
begin
  new.transaction := pg_current_xact_id();
  return new;
end
$$;

alter table accounts add column transaction xid8 not null default pg_current_xact_id();
create trigger accounts_note_transaction before update on accounts
  for each row execute function note_transaction();
create index accounts_transaction on accounts (tenant, transaction);

alter table clients add column transaction xid8 not null default pg_current_xact_id();
create trigger clients_note_transaction before update on clients
  for each row execute function note_transaction();
create index clients_transaction on clients (tenant, transaction);

-- The types that decisions are made from, by their numbers: Basic, Consent, Contract, PractitionerRole.
create index changes_of_policy on changes (tenant, transaction) where type in (7, 28, 29, 108);

-- Emergency access: one user, one patient, at most an hour. The reason is sealed. Rows stay.
create table emergency_accesses (
  id uuid not null,
  opened bigint not null,
  ends bigint not null,
  transaction xid8 not null default pg_current_xact_id(),
  tenant int not null,
  subject text not null,       -- the `sub` of the user
  patient text not null,       -- the id of the patient
  reason bytea not null,
  constraint emergency_accesses_pkey primary key (tenant, id),
  constraint emergency_accesses_are_short check (ends > opened and ends - opened <= 3600000000)
);
create trigger emergency_accesses_note_transaction before update on emergency_accesses
  for each row execute function note_transaction();
create index emergency_accesses_transaction on emergency_accesses (tenant, transaction);
select wall_by_tenant('emergency_accesses');
grant select, insert on emergency_accesses to vesta_app;
grant update (ends) on emergency_accesses to vesta_app;

reset role;
