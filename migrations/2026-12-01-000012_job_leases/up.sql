set local role vesta_owner;

-- `attempts` says who holds the lease; `failures` counts those who held it and got nowhere, so that a job
-- that kills its workers is given up. `problem` is in our own words: nothing of what was worked on.
alter table jobs add column failures int not null default 0;
alter table jobs add column problem text;

reset role;
