set local role vesta_owner;

-- A client that registered itself, and waits for an officer's word: since when. It gets nothing until then.
alter table clients add column pending bigint;
create index clients_pending on clients (tenant) where pending is not null;

reset role;
