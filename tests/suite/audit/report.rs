//! A period, counted: the same numbers as JSON, CSV and a page.

use super::{MINUTE, NOW, TENANT, Trail};
use vesta::audit::event::{self, Kind};
use vesta::audit::report::{csv, html, usage};
use vesta::fhir::id::ResourceId;

const DAY: i64 = 24 * 60 * MINUTE;

#[tokio::test(flavor = "multi_thread")]
async fn a_period_is_counted() {
    let trail = Trail::new().await;
    let mut rows = Vec::new();
    for number in 0..30_i64 {
        let agent =
            ["Practitioner/nurse", "Practitioner/doctor", "=cmd"][usize::try_from(number % 3).unwrap()];
        let result = if number % 10 == 0 { event::Result::MinorFailure } else { event::Result::Success };
        let mut row = event::row_of(agent, Kind::Read, result, "rule", NOW + number * DAY / 10);
        row.patients = vec![ResourceId::parse(&format!("p{}", number % 4)).unwrap()];
        rows.push(row);
    }
    rows.push(event::row_of("Practitioner/nurse", Kind::Login, event::Result::Success, "rule", NOW));
    // Outside of the period.
    rows.push(event::row_of("Practitioner/other", Kind::Read, event::Result::Success, "rule", NOW - 1));
    rows.push(event::row_of("Practitioner/other", Kind::Read, event::Result::Success, "rule", NOW + 3 * DAY));
    trail.store.append_audit(TENANT, rows).await.unwrap();
    let found = usage(&trail.store, TENANT, NOW, NOW + 3 * DAY).await.unwrap();
    assert_eq!((found.events(), found.failures(), found.about_patients()), (31, 3, 27));
    assert_eq!((found.agents.len(), found.touched), (3, 4));
    let nurse = found.agents.iter().find(|it| it.agent == "Practitioner/nurse").unwrap();
    assert_eq!((nurse.events, nurse.failures, nurse.about_patients, nurse.patients), (11, 1, 9, 4));
    let days: i64 = found.days.iter().map(|it| it.events).sum();
    assert_eq!((found.days.len(), days), (4, 31), "{:?}", found.days);
    let json = found.json();
    assert_eq!((json["users"].as_u64(), json["phiAccesses"].as_i64()), (Some(3), Some(27)));
    assert_eq!(json["byEvent"][0]["event"], "read");
    let table = csv::csv(&found);
    assert!(
        table.contains("user,Practitioner/nurse,11,1,9,4,\r\n") && table.contains("user,'=cmd,10,"),
        "{table}"
    );
    assert!(table.contains("total,,31,3,27,4,3\r\n"), "{table}");
    let page = html::page(&found, "https://vesta.example/fhir").unwrap();
    assert!(page.contains("<svg") && page.contains("Practitioner/nurse") && !page.contains("<script"));
    let empty = usage(&trail.store, TENANT, 0, 1).await.unwrap();
    assert_eq!(empty.events(), 0);
    html::page(&empty, "https://vesta.example/fhir").unwrap();
}
