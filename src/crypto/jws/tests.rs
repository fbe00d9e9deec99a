use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

const NOW: i64 = 1_795_424_400;

const EXPECTED: Expected<'static> = Expected {
    token_type: "at+jwt",
    issuer: "https://fhir.example.org",
    audience: "https://fhir.example.org/fhir",
    now_seconds: NOW,
    leeway_seconds: 5,
    max_lifetime_seconds: 900,
};

fn key() -> TokenKey {
    TokenKey::from_pem(&TokenKey::new_pem().unwrap()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://fhir.example.org", "aud": "https://fhir.example.org/fhir", "sub": "nurse-1",
        "iat": NOW - 10, "exp": NOW + 290, "scope": "patient/Observation.rs", "jti": "1"
    })
}

/// What becomes of a token with these claims changed; null takes one away.
fn changed(changes: Value) -> Result<(), JwsError> {
    let key = key();
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    let token = key.sign("at+jwt", &claims).unwrap();
    verify(key.key_set(), token.expose_secret(), &EXPECTED).map(|_| ())
}

#[test]
fn takes_a_token_that_says_what_is_expected() {
    let key = key();
    let token = key.sign("at+jwt", &claims()).unwrap();
    let taken = verify(key.key_set(), token.expose_secret(), &EXPECTED).unwrap();
    assert_eq!(Value::Object(taken), claims());
    // And through the published document.
    let published = KeySet::parse(&key.key_set().to_json()).unwrap();
    assert!(verify(&published, token.expose_secret(), &EXPECTED).is_ok());
    assert!(published.to_json().contains(key.kid()));
    assert!(!published.to_json().contains("\"d\""));
}

#[test]
fn refuses_claims_that_do_not_fit() {
    assert_eq!(changed(json!({})), Ok(()));
    assert_eq!(
        changed(json!({ "aud": ["https://other.example.org", "https://fhir.example.org/fhir"] })),
        Ok(())
    );
    assert_eq!(changed(json!({ "iss": "https://fhir.example.com" })), Err(JwsError::OtherIssuer));
    assert_eq!(changed(json!({ "iss": null })), Err(JwsError::OtherIssuer));
    assert_eq!(changed(json!({ "aud": "https://fhir.example.org" })), Err(JwsError::OtherAudience));
    assert_eq!(changed(json!({ "aud": null })), Err(JwsError::OtherAudience));
    assert_eq!(changed(json!({ "exp": NOW - 4 })), Ok(()));
    assert_eq!(changed(json!({ "exp": NOW - 5 })), Err(JwsError::Expired));
    assert_eq!(changed(json!({ "exp": null })), Err(JwsError::Malformed));
    assert_eq!(changed(json!({ "exp": "soon" })), Err(JwsError::Malformed));
    assert_eq!(changed(json!({ "exp": 1.5 })), Err(JwsError::Malformed));
    assert_eq!(changed(json!({ "exp": i64::MAX, "iat": i64::MIN })), Err(JwsError::LivesTooLong));
    assert_eq!(changed(json!({ "iat": NOW + 6 })), Err(JwsError::NotYet));
    assert_eq!(changed(json!({ "iat": null })), Err(JwsError::Malformed));
    assert_eq!(changed(json!({ "nbf": NOW + 6 })), Err(JwsError::NotYet));
    assert_eq!(changed(json!({ "exp": NOW + 891 })), Err(JwsError::LivesTooLong));
}

#[test]
fn refuses_tokens_of_another_type_or_key() {
    let key = key();
    let as_id_token = key.sign("JWT", &claims()).unwrap();
    assert_eq!(verify(key.key_set(), as_id_token.expose_secret(), &EXPECTED), Err(JwsError::Malformed));
    let long_type = key.sign("application/AT+JWT", &claims()).unwrap();
    assert!(verify(key.key_set(), long_type.expose_secret(), &EXPECTED).is_ok());
    let token = key.sign("at+jwt", &claims()).unwrap();
    let stranger = super::TokenKey::from_pem(&TokenKey::new_pem().unwrap()).unwrap();
    assert_eq!(verify(stranger.key_set(), token.expose_secret(), &EXPECTED), Err(JwsError::UnknownKey));
    for junk in ["", "a", "a.b", "a.b.c", "..", &"x".repeat(20_000)] {
        assert_eq!(verify(key.key_set(), junk, &EXPECTED), Err(JwsError::Malformed));
    }
}

#[test]
fn refuses_a_token_whose_parts_were_changed() {
    let key = key();
    let token = key.sign("at+jwt", &claims()).unwrap();
    let parts: Vec<_> = token.expose_secret().split('.').collect();
    let header = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let refused = |header: &str, body: &str, signature: &str| {
        verify(key.key_set(), &format!("{header}.{body}.{signature}"), &EXPECTED).unwrap_err()
    };

    let mut richer = claims();
    richer["scope"] = json!("system/*.cruds");
    let richer = URL_SAFE_NO_PAD.encode(richer.to_string());
    assert_eq!(refused(parts[0], &richer, parts[2]), JwsError::WrongSignature);
    // RFC 8725 2.1: `none`, and a public key taken for a shared secret.
    let none = header(json!({ "alg": "none", "typ": "at+jwt" }));
    assert_eq!(refused(&none, parts[1], ""), JwsError::Malformed);
    let shared = header(json!({ "alg": "HS256", "typ": "at+jwt", "kid": key.kid() }));
    assert_eq!(refused(&shared, parts[1], parts[2]), JwsError::UnknownKey);
    let other = header(json!({ "alg": "ES384", "typ": "at+jwt", "kid": key.kid() }));
    assert_eq!(refused(&other, parts[1], parts[2]), JwsError::UnknownKey);
    let critical = header(json!({ "alg": "ES256", "typ": "at+jwt", "kid": key.kid(), "crit": ["b64"] }));
    assert_eq!(refused(&critical, parts[1], parts[2]), JwsError::Malformed);
}

#[test]
fn a_token_cannot_bring_its_own_key() {
    let (ours, theirs) = (key(), key());
    let jwk: Value = serde_json::from_str(&theirs.key_set().to_json()).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("at+jwt".into());
    header.jwk = Some(serde_json::from_value(jwk["keys"][0].clone()).unwrap());
    let token = jsonwebtoken::encode(&header, &claims(), &theirs.encoding).unwrap();
    assert_eq!(verify(ours.key_set(), &token, &EXPECTED), Err(JwsError::WrongSignature));
}

#[test]
fn key_sets_leave_out_what_cannot_check() {
    let secret = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }] });
    assert!(KeySet::parse(&secret.to_string()).is_err());
    let mut document: Value = serde_json::from_str(&key().key_set().to_json()).unwrap();
    document["keys"][0]["use"] = json!("enc");
    assert!(KeySet::parse(&document.to_string()).is_err());
    document["keys"][0]["use"] = json!("sig");
    document["keys"][0]["alg"] = json!("ES384");
    assert!(KeySet::parse(&document.to_string()).is_err());
    assert!(KeySet::parse("{}").is_err());
    let both = key().key_set().clone().and(key().key_set().clone());
    assert_eq!(format!("{both:?}").matches('"').count(), 4);
}

#[test]
fn rs384_assertions_are_checked() {
    // The example of RFC 7520 3.3 and 3.4, an RSA key of 2048 bits.
    let document = json!({ "keys": [{
        "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB",
        "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
    }] });
    let keys = KeySet::parse(&document.to_string()).unwrap();
    let kid = Some("bilbo.baggins@hobbiton.example");
    assert_eq!(keys.candidates(kid, Algorithm::RS384).count(), 1);
    assert_eq!(keys.candidates(kid, Algorithm::RS256).count(), 1);
    assert_eq!(keys.candidates(kid, Algorithm::RS512).count(), 0);
    assert_eq!(keys.candidates(Some("frodo"), Algorithm::RS384).count(), 0);
}
