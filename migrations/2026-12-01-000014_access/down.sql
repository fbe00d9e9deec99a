drop table emergency_accesses;
drop index changes_of_policy;
drop index clients_transaction;
drop trigger clients_note_transaction on clients;
alter table clients drop column transaction;
drop index accounts_transaction;
drop trigger accounts_note_transaction on accounts;
alter table accounts drop column transaction;
drop function note_transaction();
