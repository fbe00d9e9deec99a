use super::*;
use crate::fhir::json::{Json, Limits};
use proptest::prelude::*;

const PLACE: Place<'static> = Place { tenant: 1, resource_type: "Patient", id: "a", version: 1 };

const PATIENT: &str = r#"{ "resourceType" : "Patient", "id":"a",
  "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Ada Lovelace, born in London</div>"},
  "name":[{"family":"Lovelace","given":["Ada","King"],"_given":[null,{"id":"g2"}]}], "birthDate" : "1815-12-10",
  "multipleBirthInteger":1.00,"gender":"female" }"#;

/// The spans of these texts in the resource.
fn spans(text: &str, parts: &[(&str, SealClass)]) -> Vec<SealedSpan> {
    let found = parts.iter().map(|(part, class)| {
        let start = text.find(part).unwrap();
        SealedSpan { span: start..start + part.len(), class: *class }
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|it| it.span.start);
    found
}

fn patient_spans() -> Vec<SealedSpan> {
    let name = r#"[{"family":"Lovelace","given":["Ada","King"],"_given":[null,{"id":"g2"}]}]"#;
    let div = &PATIENT[PATIENT.find("\"<div").unwrap()..PATIENT.find("</div>\"").unwrap() + 7];
    spans(
        PATIENT,
        &[(name, SealClass::Identity), ("\"1815-12-10\"", SealClass::Identity), (div, SealClass::Narrative)],
    )
}

fn key() -> SubjectKey {
    SubjectKey::ephemeral(7, 1)
}

fn see(classes: &[SealClass]) -> SealClasses {
    classes.iter().fold(SealClasses::NONE, |all, class| all.with(*class))
}

/// What is left of a text when the parts are withheld.
fn check_withheld(text: &str, parts: &[&str], expected: &str) {
    let key = key();
    let parts: Vec<_> = parts.iter().map(|part| (*part, SealClass::Identity)).collect();
    let body = encode(&PLACE, text, &spans(text, &parts), &key).unwrap();
    let unsealed = decode(&PLACE, &body, Some(&key), SealClasses::NONE).unwrap();
    assert_eq!(unsealed, Unsealed { text: expected.to_owned(), is_partial: true });
    assert!(Json::parse(unsealed.text, &Limits::default()).is_ok());
    assert_eq!(decode(&PLACE, &body, Some(&key), SealClasses::ALL).unwrap().text, text);
}

#[test]
fn comes_back_byte_for_byte() {
    let key = key();
    let body = encode(&PLACE, PATIENT, &patient_spans(), &key).unwrap();
    let unsealed = decode(&PLACE, &body, Some(&key), SealClasses::ALL).unwrap();
    assert_eq!(unsealed, Unsealed { text: PATIENT.to_owned(), is_partial: false });
    assert_eq!(key_name(&body), Ok(Some(KeyName { subject: 7, epoch: 1 })));
}

#[test]
fn shows_nothing_of_what_is_sealed() {
    let body = encode(&PLACE, PATIENT, &patient_spans(), &key()).unwrap();
    for secret in ["Lovelace", "Ada", "King", "1815", "London"] {
        assert!(memchr::memmem::find(&body, secret.as_bytes()).is_none(), "{secret}");
        let container = Container::read(&body).unwrap();
        let skeleton = compression::decompress(container.dictionary, container.frame).unwrap();
        assert!(memchr::memmem::find(&skeleton, secret.as_bytes()).is_none(), "{secret}");
    }
}

#[test]
fn a_body_without_sealed_parts_needs_no_key() {
    let body = encode(&PLACE, r#"{"resourceType":"Basic"}"#, &[], &key()).unwrap();
    assert_eq!(key_name(&body), Ok(None));
    assert_eq!(decode(&PLACE, &body, None, SealClasses::NONE).unwrap().text, r#"{"resourceType":"Basic"}"#);
}

#[test]
fn opens_in_no_other_place() {
    let key = key();
    let body = encode(&PLACE, PATIENT, &patient_spans(), &key).unwrap();
    let elsewhere = [
        Place { tenant: 2, ..PLACE },
        Place { resource_type: "Person", ..PLACE },
        Place { id: "b", ..PLACE },
        Place { version: 2, ..PLACE },
    ];
    for place in elsewhere {
        assert_eq!(decode(&place, &body, Some(&key), SealClasses::ALL), Err(BrokenSeal.into()));
    }
    let namesake = SubjectKey::ephemeral(7, 1);
    assert_eq!(decode(&PLACE, &body, Some(&namesake), SealClasses::ALL), Err(BrokenSeal.into()));
    for other in [SubjectKey::ephemeral(8, 1), SubjectKey::ephemeral(7, 2)] {
        assert_eq!(decode(&PLACE, &body, Some(&other), SealClasses::ALL), Err(BodyError::NoKey));
    }
    assert_eq!(decode(&PLACE, &body, None, SealClasses::ALL), Err(BodyError::NoKey));
}

#[test]
fn a_section_cannot_be_moved_or_taken_for_another_class() {
    let key = key();
    let part = |text: &str, class| encode(&PLACE, text, &spans(text, &[("\"x1\"", class)]), &key).unwrap();
    let sections = |body: &[u8]| Container::read(body).unwrap().sections.to_vec();
    let skeleton = |body: &[u8]| body[..body.len() - sections(body).len()].to_vec();

    let here = part(r#"{"a":"x1","b":"x2"}"#, SealClass::Identity);
    let there = part(r#"{"b":"x2","a":"x1"}"#, SealClass::Identity);
    let moved = [skeleton(&here), sections(&there)].concat();
    assert_eq!(decode(&PLACE, &moved, Some(&key), SealClasses::ALL), Err(BrokenSeal.into()));

    // A section of a class that nobody may see, passed off as one that everybody may.
    let hiv = part(r#"{"a":"x1","b":"x2"}"#, SealClass::Hiv);
    let mut relabelled = sections(&hiv);
    relabelled[0] = SealClass::Identity.code();
    let relabelled = [skeleton(&here), relabelled].concat();
    assert_eq!(decode(&PLACE, &relabelled, Some(&key), SealClasses::ALL), Err(BrokenSeal.into()));

    // The clear text beside it is covered as well.
    let forged = part(r#"{"a":"x1","b":"x3"}"#, SealClass::Identity);
    let forged = [skeleton(&forged), sections(&here)].concat();
    assert_eq!(decode(&PLACE, &forged, Some(&key), SealClasses::ALL), Err(BrokenSeal.into()));

    let cut = skeleton(&here);
    assert_eq!(decode(&PLACE, &cut, Some(&key), SealClasses::ALL), Err(BodyError::Malformed));
}

#[test]
fn what_may_not_be_seen_is_not_even_decrypted() {
    let key = key();
    let mut body = encode(&PLACE, PATIENT, &patient_spans(), &key).unwrap();
    // The narrative is the last section: break it, and read what does not need it.
    *body.last_mut().unwrap() ^= 1;
    let unsealed = decode(&PLACE, &body, Some(&key), see(&[SealClass::Identity])).unwrap();
    assert!(unsealed.is_partial && unsealed.text.contains("Lovelace") && !unsealed.text.contains("div"));
    assert!(decode(&PLACE, &body, Some(&key), SealClasses::ALL).is_err());
    // And without any class, a destroyed key is not missed.
    assert!(decode(&PLACE, &body, None, SealClasses::NONE).unwrap().is_partial);
}

#[test]
fn withheld_members_vanish_with_their_commas() {
    check_withheld(r#"{"a":"x1","b":2}"#, &[r#""x1""#], r#"{"b":2}"#);
    check_withheld(r#"{"b":2 , "a" : "x1"}"#, &[r#""x1""#], r#"{"b":2}"#);
    check_withheld(r#"{ "b":2, "a":"x1", "c":1.00 }"#, &[r#""x1""#], r#"{ "b":2, "c":1.00 }"#);
    check_withheld(r#"{"a":"x1","b":"x2","c":3}"#, &[r#""x1""#, r#""x2""#], r#"{"c":3}"#);
    check_withheld(r#"{"c":3,"a":"x1","b":"x2"}"#, &[r#""x1""#, r#""x2""#], r#"{"c":3}"#);
    check_withheld(r#"{"a":"x1","c":3,"b":"x2","d":4}"#, &[r#""x1""#, r#""x2""#], r#"{"c":3,"d":4}"#);
}

#[test]
fn nothing_empty_is_left() {
    check_withheld(r#"{"a":{"b":"x1"},"c":3}"#, &[r#""x1""#], r#"{"c":3}"#);
    check_withheld(r#"{"a":[{"b":["x1"]}],"c":3}"#, &[r#""x1""#], r#"{"c":3}"#);
    check_withheld(r#"{"a":[{"b":"x1"},{"b":1}],"c":3}"#, &[r#""x1""#], r#"{"a":[{"b":1}],"c":3}"#);
    check_withheld(r#"{"a":[1,"x1",2,"x2"]}"#, &[r#""x1""#, r#""x2""#], r#"{"a":[1,2]}"#);
}

#[test]
fn items_and_their_companions_go_together() {
    check_withheld(
        r#"{"given":["x1","B"],"_given":[{"id":"1"},{"id":"2"}]}"#,
        &[r#""x1""#],
        r#"{"given":["B"],"_given":[{"id":"2"}]}"#,
    );
    check_withheld(
        r#"{"given":["A",null],"_given":[null,"x1"]}"#,
        &[r#""x1""#],
        r#"{"given":["A"],"_given":[null]}"#,
    );
}

#[test]
fn a_resource_sealed_as_a_whole_leaves_its_name_alone() {
    check_withheld(r#"{"a":1}"#, &[r#"{"a":1}"#], r#"{"resourceType":"Patient","id":"a"}"#);
}

#[test]
fn refuses_spans_that_do_not_fit() {
    let span = |span| SealedSpan { span, class: SealClass::Identity };
    let refused =
        [vec![span(5..9), span(1..3)], vec![span(1..6), span(5..9)], vec![span(1..99)], vec![span(3..3)]];
    for spans in refused {
        assert_eq!(encode(&PLACE, r#"{"a":"b","c":1}"#, &spans, &key()), Err(BodyError::Spans));
    }
    assert_eq!(encode(&PLACE, "{\"a\":\"\u{fc}\"}", &[span(6..7)], &key()), Err(BodyError::Spans));
    assert_eq!(encode(&PLACE, "{\"a\":\"\u{1}A\"}", &[], &key()), Err(BodyError::Spans));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_and_any_spans_come_back(
        parts in prop::collection::vec(("[ -~\u{80}-\u{17f}]{0,200}", "[ -~\u{80}-\u{17f}]{1,300}", 0_u8..8), 0..12),
        tail in "[ -~]{0,50}",
    ) {
        let (mut text, mut spans) = (String::new(), Vec::new());
        for (before, subtree, class) in parts {
            text.push_str(&before);
            let start = text.len();
            text.push_str(&subtree);
            spans.push(SealedSpan { span: start..text.len(), class: SealClass::from_code(class).unwrap() });
        }
        text.push_str(&tail);
        let key = key();
        let body = encode(&PLACE, &text, &spans, &key).unwrap();
        prop_assert_eq!(decode(&PLACE, &body, Some(&key), SealClasses::ALL).unwrap().text, text);
    }

    #[test]
    fn a_damaged_body_is_refused_or_whole(at: prop::sample::Index, bit in 0_u8..8, cut: prop::sample::Index) {
        let key = key();
        let body = encode(&PLACE, PATIENT, &patient_spans(), &key).unwrap();
        let mut damaged = body.clone();
        damaged[at.index(body.len())] ^= 1 << bit;
        for damaged in [&damaged[..], &body[..cut.index(body.len())]] {
            if let Ok(unsealed) = decode(&PLACE, damaged, Some(&key), SealClasses::ALL) {
                prop_assert_eq!(&unsealed.text, PATIENT);
            }
        }
    }
}

#[test]
fn every_dictionary_reads_what_it_wrote() {
    let key = key();
    for resource_type in ["Basic", "Observation", "Encounter", "Specimen", "Patient"] {
        let place = Place { resource_type, ..PLACE };
        let body = encode(&place, PATIENT, &patient_spans(), &key).unwrap();
        assert_eq!(body[1] == 1, resource_type == "Basic", "{resource_type} has a dictionary of its own");
        assert_eq!(decode(&place, &body, Some(&key), SealClasses::ALL).unwrap().text, PATIENT);
    }
}

#[test]
fn bodies_of_the_general_dictionary_are_still_read() {
    let old = compression::compress(compression::GENERAL, PATIENT.as_bytes()).unwrap();
    let mut body = vec![FORMAT, compression::GENERAL];
    push_length(&mut body, old.len());
    body.extend(old);
    assert_eq!(decode(&PLACE, &body, None, SealClasses::ALL).unwrap().text, PATIENT);
}
