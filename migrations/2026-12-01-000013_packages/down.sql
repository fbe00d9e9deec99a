drop table built_search_parameters;
drop table rule_versions;
drop table packages;
