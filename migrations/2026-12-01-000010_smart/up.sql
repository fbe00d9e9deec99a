set local role vesta_owner;

-- Who may sign in. `name` is the keyed hash of the user name; the name itself, the second factor and the
-- recovery codes are in `sealed`. A disabled account keeps its row: names are never used again.
create table accounts (
  id uuid not null,
  created bigint not null,
  disabled bigint,
  totp_step bigint not null,      -- the last step whose code was used
  tenant int not null,
  name bytea not null,
  fhir_user text,
  role text not null,
  password text not null,
  sealed bytea not null,
  constraint accounts_pkey primary key (tenant, id),
  constraint accounts_name_unique unique (tenant, name)
);
select wall_by_tenant('accounts');
grant select, insert, update on accounts to vesta_app;

-- When somebody failed to sign in: by account name and by address, both as keyed hashes.
create table sign_in_failures (
  latest bigint not null,
  tenant int not null,
  subject bytea not null,
  times bigint[] not null,
  constraint sign_in_failures_pkey primary key (tenant, subject)
);
select wall_by_tenant('sign_in_failures');
grant select, insert, update, delete on sign_in_failures to vesta_app;

-- Browsers. `hash` is of the cookie. An account stands here once the password was right; `strong` once the
-- second factor was, too.
create table sessions (
  created bigint not null,
  used bigint not null,
  signed_in bigint,
  strong bigint,
  ended bigint,
  account uuid,
  tenant int not null,
  hash bytea not null,
  constraint sessions_pkey primary key (tenant, hash)
);
create index sessions_account on sessions (tenant, account) where account is not null;
select wall_by_tenant('sessions');
grant select, insert, update, delete on sessions to vesta_app;

create table clients (
  created bigint not null,
  disabled bigint,
  tenant int not null,
  id text not null,
  secret_hash bytea,
  document text not null,
  constraint clients_pkey primary key (tenant, id)
);
select wall_by_tenant('clients');
grant select, insert, update on clients to vesta_app;

-- Things with a hidden name and an end, each used at most once or until its end: authorization requests
-- under way, EHR launches, initial access tokens, seen assertions. `hash` is of the hidden name.
create table tickets (
  created bigint not null,
  expires bigint not null,
  used bigint,
  tenant int not null,
  kind smallint not null,
  hash bytea not null,
  document text not null,
  constraint tickets_pkey primary key (tenant, kind, hash)
);
create index tickets_expires on tickets (expires);
select wall_by_tenant('tickets');
grant select, insert, update, delete on tickets to vesta_app;

-- What a user granted to a client: the family of all tokens that came of it.
create table grants (
  id uuid not null,
  created bigint not null,
  expires bigint not null,
  revoked bigint,
  account uuid,
  tenant int not null,
  client text not null,
  session bytea,
  encounter text,
  document text not null,
  constraint grants_pkey primary key (tenant, id)
);
create index grants_account on grants (tenant, account) where revoked is null;
create index grants_session on grants (tenant, session) where revoked is null and session is not null;
create index grants_client on grants (tenant, client) where revoked is null;
select wall_by_tenant('grants');
grant select, insert, update on grants to vesta_app;

-- Codes (1) and refresh tokens (2) of a grant, by their hash, each good for one use.
create table grant_tokens (
  family uuid not null,
  created bigint not null,
  expires bigint not null,
  used bigint,
  tenant int not null,
  kind smallint not null,
  hash bytea not null,
  constraint grant_tokens_pkey primary key (tenant, hash)
);
create index grant_tokens_expires on grant_tokens (expires);
select wall_by_tenant('grant_tokens');
grant select, insert, update, delete on grant_tokens to vesta_app;

-- What access tokens are dead before their time: those of a user, a client or a family that were issued
-- until `at`. Every server holds these rows in memory; `sequence` tells it what is new.
create table revocations (
  sequence bigint generated always as identity,
  at bigint not null,
  expires bigint not null,
  transaction xid8 not null default pg_current_xact_id(),
  tenant int not null,
  kind smallint not null,
  subject text not null,
  constraint revocations_pkey primary key (tenant, sequence)
);
select wall_by_tenant('revocations');
grant select, insert, delete on revocations to vesta_app;

-- The keys that sign tokens, sealed. A retired key still checks until it expires.
create table signing_keys (
  created bigint not null,
  retired bigint,
  expires bigint,
  tenant int not null,
  algorithm text not null,
  kid text not null,
  sealed bytea not null,
  constraint signing_keys_pkey primary key (tenant, kid)
);
create unique index signing_keys_active_unique on signing_keys (tenant, algorithm) where retired is null;
select wall_by_tenant('signing_keys');
grant select, insert, delete on signing_keys to vesta_app;
grant update (retired, expires) on signing_keys to vesta_app;

reset role;
