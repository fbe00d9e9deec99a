drop table concept_parents;
drop table concepts;
drop table imported_systems;
