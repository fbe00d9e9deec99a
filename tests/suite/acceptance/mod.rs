//! The (g)(10) procedure, clause by clause: which test holds it, over TLS.
//!
//! A clause without a test, or one whose test is gone or speaks plain HTTP, fails here.

mod granular;
mod oauth;
mod us_core;

use std::path::{Path, PathBuf};

/// What the procedure asks for, and the tests that hold it: `room::file::name`.
const CLAUSES: &[(&str, &[&str])] = &[
    // What the operator must be able to do
    (
        "HTTPS with a certificate from a private authority",
        &["http::tls::answers_over_tls_and_asks_to_stay_there"],
    ),
    ("TLS 1.3 alone", &["http::tls::older_versions_are_refused"]),
    (
        "clients from a file, public and with a secret",
        &["smart::seed::a_seed_is_put_again_and_again_with_the_same_result"],
    ),
    ("clients with inline keys, ES384", &["smart::backend_services::a_system_reads_with_its_own_signature"]),
    (
        "clients with keys at an address, RS384",
        &["smart::backend_services::keys_may_be_kept_at_an_address_of_the_client"],
    ),
    ("users with password and one-time password", &["smart::sign_in::a_password_alone_opens_nothing"]),
    (
        "sign-in, picker and consent by plain form posts",
        &["smart::standalone_launch::a_clinician_chooses_the_patient_and_the_visit"],
    ),
    (
        "scopes ticked one by one, and finer ones",
        &["smart::standalone_launch::only_what_is_ticked_is_granted_and_finer_where_that_is_ticked"],
    ),
    (
        "an EHR launch begun by an authenticated endpoint",
        &[
            "smart::ehr_launch::an_app_opens_with_the_patient_of_the_ehr",
            "smart::ehr_launch::only_an_ehr_begins_launches",
        ],
    ),
    (
        "the examples of US Core load unchanged",
        &["acceptance::us_core::the_examples_of_us_core_come_back_and_every_search_finds_them"],
    ),
    // Discovery
    (
        "the members of the smart-configuration, and its capabilities",
        &["smart::discovery::the_smart_configuration_names_endpoints_that_are_there"],
    ),
    (
        "oauth-uris in the CapabilityStatement",
        &["smart::discovery::the_capability_statement_names_the_same_endpoints"],
    ),
    ("openid-configuration and JWKS", &["smart::discovery::the_other_documents_are_there_for_everybody"]),
    ("CORS, pre-flight included", &["acceptance::granular::pages_of_any_origin_may_read_what_is_for_apps"]),
    // Launch
    ("authorize by GET", &["smart::standalone_launch::a_patient_lets_an_app_read_their_record"]),
    ("authorize by POST", &["smart::authorize::a_request_may_be_posted_but_says_each_thing_once"]),
    (
        "PKCE: plain, missing and blank challenges; a wrong aud",
        &["smart::authorize::everything_else_is_told_to_the_app"],
    ),
    (
        "PKCE: missing, wrong and plain verifiers; bad codes; a code lives a minute",
        &["smart::token::a_code_is_for_its_client_address_and_verifier_within_a_minute"],
    ),
    (
        "unknown clients and addresses are shown, not redirected",
        &["smart::authorize::what_is_wrong_about_the_client_is_shown_and_never_redirected"],
    ),
    (
        "a code that comes twice revokes the family",
        &["smart::token::a_code_that_comes_twice_ends_everything_that_came_of_it"],
    ),
    (
        "the members and headers of the token response; the style",
        &["smart::standalone_launch::a_patient_lets_an_app_read_their_record"],
    ),
    (
        "encounter, intent, fhirContext and banner",
        &[
            "smart::ehr_launch::an_app_opens_with_the_patient_of_the_ehr",
            "smart::ehr_launch::further_context_comes_along",
        ],
    ),
    (
        "bad clients are refused",
        &[
            "smart::token::a_client_with_a_secret_proves_it_every_time",
            "smart::token::another_clients_code_is_not_good",
        ],
    ),
    (
        "refresh with and without a scope, narrower only, rotated, the old one kills",
        &["smart::token::refresh_tokens_rotate_and_scopes_only_shrink"],
    ),
    ("offline_access", &["smart::token::refresh_tokens_rotate_and_scopes_only_shrink"]),
    ("online_access", &["smart::token::online_access_ends_with_the_session"]),
    (
        "scopes of version 1 beside those of version 2",
        &["smart::standalone_launch::scopes_of_version_1_stay_as_they_were_asked_for"],
    ),
    (
        "id_token RS256, its kid and claims; fhirUser is readable",
        &[
            "smart::standalone_launch::a_patient_lets_an_app_read_their_record",
            "acceptance::oauth::an_id_token_says_what_it_must",
        ],
    ),
    ("id_token ES384", &["smart::backend_services::an_app_with_users_may_sign_too"]),
    ("keys rotate", &["smart::discovery::keys_rotate_and_the_one_before_still_checks"]),
    ("revocation: 401, and no refresh", &["smart::revocation::what_a_client_gives_back_is_dead"]),
    (
        "introspection, and exactly {\"active\":false}",
        &[
            "smart::revocation::introspection_tells_those_who_may_ask",
            "smart::revocation::what_a_client_gives_back_is_dead",
            "acceptance::oauth::introspection_tells_the_context_of_a_launch",
        ],
    ),
    (
        "backend services, and what is refused",
        &[
            "smart::backend_services::a_system_reads_with_its_own_signature",
            "smart::backend_services::an_assertion_that_is_not_in_order_is_refused",
            "smart::backend_services::the_request_must_be_in_order_too",
        ],
    ),
    // Resource access
    (
        "no token: 401 and WWW-Authenticate",
        &["http::unauthorized::every_endpoint_with_a_guard_refuses_a_stranger"],
    ),
    ("bad tokens", &["http::unauthorized::bad_tokens_are_told_nothing"]),
    (
        "types that no scope names; granular scopes on every way",
        &["acceptance::granular::a_granular_scope_narrows_every_way_to_a_resource"],
    ),
    // US Core
    (
        "instantiates, supportedProfile, search parameters",
        &["acceptance::us_core::the_statement_names_every_profile_and_search_of_us_core"],
    ),
    (
        "each search by GET and POST, OR, comparators, _include, _revinclude, $docref, must-support elements",
        &["acceptance::us_core::the_examples_of_us_core_come_back_and_every_search_finds_them"],
    ),
    // Bulk
    ("kick-off, status, manifest, files, delete", &["bulk::export::an_export_goes_from_kick_off_to_delete"]),
    ("patients and groups", &["bulk::export::patients_and_groups_are_exported_with_what_is_theirs"]),
    ("_type, _typeFilter, _elements, _since", &["bulk::export::filters_elements_and_times_narrow_an_export"]),
    (
        "_outputFormat in three spellings, strict and lenient",
        &["bulk::export::what_is_not_understood_is_refused_or_told"],
    ),
    (
        "missing and foreign tokens; another client's status is 404",
        &[
            "bulk::export::an_export_is_there_for_its_client_alone",
            "bulk::export::only_systems_export_and_only_what_they_may_read",
        ],
    ),
    ("429 with Retry-After, Expires", &["bulk::export::a_client_has_so_many_under_way_and_files_grow_old"]),
    ("POST with Parameters and patient", &["acceptance::oauth::an_export_is_asked_for_by_post"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite")
}

/// Whether the test is there, and why it does not hold its clause.
fn complaint(test: &str) -> Option<String> {
    let mut words: Vec<&str> = test.split("::").collect();
    let name = words.pop()?;
    let path = folder().join(words.join("/")).with_extension("rs");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Some(format!("there is no {}", path.display()));
    };
    let is_there = text.contains(&format!("#[tokio::test(flavor = \"multi_thread\")]\nasync fn {name}()"));
    if !is_there {
        return Some(format!("there is no test {test}"));
    }
    let room = std::fs::read_to_string(path.with_file_name("mod.rs")).unwrap_or_default();
    let speaks_tls = [&text, &room].iter().any(|it| it.contains("_with_tls"));
    (!speaks_tls).then(|| format!("{test} does not speak TLS"))
}

#[test]
fn every_clause_has_its_tests() {
    let missing: Vec<String> = CLAUSES
        .iter()
        .flat_map(|(clause, tests)| {
            assert!(!tests.is_empty(), "{clause} has no test");
            tests.iter().filter_map(move |it| complaint(it).map(|it| format!("{clause}: {it}")))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(complaint("smart::token::no_such_test").is_some());
    assert!(complaint("fhir::history::every_version_page_by_page").is_some_and(|it| it.contains("TLS")));
}
