set local role vesta_owner;

-- Files that jobs leave: exports, their errors, uploads to import. The bytes are elsewhere, sealed under `key`, a
-- key of the file's own that is itself sealed: whoever removes the row shreds the file, wherever copies of it are.
create table files (
  job uuid not null,
  size bigint,   -- how many bytes were sealed; nothing until the file is whole
  tenant int not null,
  name text not null,
  key bytea not null,
  constraint files_pkey primary key (tenant, job, name)
);
select wall_by_tenant('files');
grant select, insert, update, delete on files to vesta_app;

reset role;
