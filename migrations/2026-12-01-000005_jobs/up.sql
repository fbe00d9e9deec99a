set local role vesta_owner;

-- Work that outlives a request. A worker claims the next due row, keeps its lease while it works, and
-- leaves its progress, so that another can go on. `parameters` and `progress` are sealed.
create table jobs (
  id uuid not null,
  due bigint not null,
  created bigint not null,
  finished bigint,
  leased_until bigint,
  tenant int not null,
  attempts int not null default 0,
  state smallint not null default 0,   -- 0 waiting, 1 running, 2 done, 3 failed, 4 cancelled
  kind text not null,
  lock text,                           -- at most one waiting or running job for each
  parameters bytea not null,
  progress bytea,
  constraint jobs_pkey primary key (tenant, id)
);
create index jobs_due on jobs (tenant, due) where state <= 1;
create unique index jobs_lock_unique on jobs (tenant, kind, lock) where state <= 1 and lock is not null;
select wall_by_tenant('jobs');
grant select, insert, update, delete on jobs to vesta_app;

reset role;
