//! How many typical expressions are evaluated in a second: printed, and a floor that only a mistake
//! in the order of growth can miss.

use super::{PATIENT, json};
use std::time::{Duration, Instant};
use vesta::conformance::definitions::Definitions;
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression};

#[test]
fn typical_expressions_are_fast_enough() {
    let definitions = Definitions::embedded().unwrap();
    let patient = json(PATIENT);
    let focus = Item::of_resource(&definitions.types, patient.root()).unwrap();
    let env = Environment::of(&definitions.types, focus.clone());
    for expression in [
        "hasValue() or (children().count() > id.count())",
        "name.where(use = 'official').given.first()",
        "contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
        "contained.where((('#'+id in (%resource.descendants().reference | %resource.descendants().as(canonical) | %resource.descendants().as(uri) | %resource.descendants().as(url))) or descendants().where(reference = '#').exists() or descendants().where(as(canonical) = '#').exists() or descendants().where(as(canonical) = '#').exists()).not()).trace('unmatched', id).empty()",
        "Patient.birthDate | Patient.deceased.ofType(dateTime)",
        "id.matches('^[A-Za-z0-9\\\\-\\\\.]{1,64}$')",
    ] {
        let compiled = Expression::parse(expression).unwrap();
        let (mut count, start) = (0_u32, Instant::now());
        while start.elapsed() < Duration::from_millis(150) {
            for _ in 0..50 {
                let _ = std::hint::black_box(compiled.evaluate(&env, focus.clone()));
            }
            count += 50;
        }
        let rate = f64::from(count) / start.elapsed().as_secs_f64();
        println!("{rate:>12.0} per second: {}", expression.get(..60.min(expression.len())).unwrap());
        assert!(rate > 200.0, "{rate} per second: {expression}");
    }
}
