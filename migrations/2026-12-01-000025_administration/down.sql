set local role vesta_owner;

alter table clients drop column pending;

reset role;
