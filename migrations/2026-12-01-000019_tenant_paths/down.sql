set local role vesta_owner;

alter table tenants drop constraint tenants_slug_is_a_path_segment;

reset role;
