use super::*;

#[test]
fn white_space_is_folded_outside_of_strings_only() {
    assert_eq!(one_line("a\n   and  b"), "a and b");
    assert_eq!(one_line("x = 'two  spaces'  or y"), "x = 'two  spaces' or y");
    assert_eq!(one_line("x = 'it\\'s  so'  or  y"), "x = 'it\\'s  so' or y");
}

#[test]
fn a_profile_becomes_the_lines_that_demand_something() {
    let mut source = Source::default();
    source.add(
        r#"{"resourceType":"StructureDefinition","url":"http://x.org/p","version":"1","type":"Observation",
        "derivation":"constraint","kind":"resource","baseDefinition":"http://hl7.org/fhir/StructureDefinition/vitalsigns",
        "differential":{"element":[{"id":"Observation","path":"Observation","short":"words"},
        {"id":"Observation.code","path":"Observation.code","min":1,"patternCodeableConcept":{"coding":[{"code":"a"}]},
         "binding":{"strength":"required","valueSet":"http://x.org/v|4.0.1"}},
        {"id":"Observation.category","path":"Observation.category","slicing":{"rules":"open","discriminator":[{"type":"pattern","path":"$this"}]}},
        {"id":"Observation.category:lab","path":"Observation.category","sliceName":"lab"},
        {"id":"Observation.subject","path":"Observation.subject","max":"1","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient","http://x.org/q"]}],
         "constraint":[{"key":"ele-1","severity":"error","expression":"true"},{"key":"x-1","severity":"warning","expression":"a\n = b"}]}]}}"#,
    );
    source.add(r#"{"resourceType":"ValueSet","url":"http://x.org/v","compose":{"include":[{"system":"http://x.org/s","concept":[{"code":"b"},{"code":"a"}]},{"system":"http://other"}]}}"#);
    assert_eq!(
        package("x", "1", &source, &Source::default()),
        "package\tx\t1\t\n\
         profile\thttp://x.org/p\t1\tObservation\tvitalsigns\n\
         \tcode\tcard 1..\tbind required http://x.org/v\tpattern {\"coding\":[{\"code\":\"a\"}]}\n\
         \tcategory\tslice open unordered pattern:$this\n\
         \tcategory:lab\t\n\
         \tsubject\tcard ..1\ttypes Reference>Patient,http://x.org/q\trule x-1 w a = b\n\
         values\thttp://x.org/v\n\
         \thttp://other\t*\n\
         \thttp://x.org/s\ta\tb\n"
    );
}
