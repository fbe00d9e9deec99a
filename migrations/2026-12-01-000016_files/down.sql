drop table if exists files;
