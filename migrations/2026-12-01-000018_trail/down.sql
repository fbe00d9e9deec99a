drop function drop_audit_month(text, bigint);
drop table audit_archives;
drop table audit_cursors;
