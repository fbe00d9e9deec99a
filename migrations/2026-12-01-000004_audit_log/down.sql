drop table audit_checkpoints;
drop table audit_chain;
drop table audit_events;
drop function create_audit_partitions(bigint, int);
