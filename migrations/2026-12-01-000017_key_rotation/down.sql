drop function shred_tenant(bigint);
drop function shred_patient(bigint, bigint, text[], smallint[], bigint[]);
drop function refuse_held(bigint);
drop table shred_requests;
drop table legal_holds;
revoke update (body) on versions from vesta_app;
