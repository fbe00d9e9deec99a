drop table closure_codes;
drop table closures;
