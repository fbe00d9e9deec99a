drop table consents;
drop table identities;
drop table identity_providers;
alter table sessions drop column methods;
