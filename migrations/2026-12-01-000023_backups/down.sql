set local role vesta_owner;

drop table backups;

reset role;

revoke select on __diesel_schema_migrations from vesta_app;
