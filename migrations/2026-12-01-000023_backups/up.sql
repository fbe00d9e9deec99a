-- A backup says which schema it is of; restoring goes through the steps up to that one first.
grant select on __diesel_schema_migrations to vesta_app;

set local role vesta_owner;

-- What was backed up and restored, and how well: of the whole database, all tenants together.
create table backups (
  id uuid not null,              -- of the backup
  at bigint not null,            -- when this was done
  taken bigint not null,         -- what was committed by then is in the backup
  took bigint not null,          -- how long it took, in microseconds
  behind bigint not null,        -- how much older the backup was than what there was to lose, in microseconds
  rows bigint not null,
  bytes bigint not null,
  deed smallint not null,        -- 1 made, 2 restored, 3 restored in a drill
  is_whole boolean not null,
  constraint backups_pkey primary key (id, deed, at)
);
create index backups_at on backups (deed, at);
grant select, insert on backups to vesta_app;

reset role;
