-- A tenant's slug stands in URLs: /t/{slug}/fhir.
set local role vesta_owner;

alter table tenants add constraint tenants_slug_is_a_path_segment
  check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$');

reset role;
