alter table jobs drop column problem;
alter table jobs drop column failures;
