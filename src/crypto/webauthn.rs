//! Passkeys: a signature that only the authenticator of a user can make, and only for our own pages.
//!
//! <https://www.w3.org/TR/webauthn-3/>: registration 7.1 and assertion 7.2, as far as a relying party needs
//! them that asks for no attestation. The public key is taken from the browser as it exports it
//! (`getPublicKey()`, SubjectPublicKeyInfo): without an attestation nothing signs the same key inside of the
//! attestation object, so reading that would prove no more.
//!
//! # Decision 2026-11-24
//! Ours over aws-lc-rs, which TLS brings along, and not `webauthn-rs`: that is under a licence that we do not
//! take, and most of it is attestation. ES256 and RS256, which every authenticator has one of.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The COSE numbers of what we check with, in the order of our preference.
pub const ALGORITHMS: [i64; 2] = [-7, -257];
/// The longest text of an answer that is looked at.
const LONGEST: usize = 8192;

/// A passkey as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Its id, base64url.
    pub id: String,
    /// The public key, SubjectPublicKeyInfo in base64url.
    pub key: String,
    /// The COSE number of its algorithm.
    pub algorithm: i64,
    /// How often it has signed, as far as it tells.
    pub counter: u32,
    /// What its owner calls it.
    pub name: String,
    /// When it was added, in microseconds since 1970.
    pub created: i64,
}

/// Who asks: the address of our pages.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// The origin, such as `https://fhir.example.org`.
    pub origin: String,
    /// The host.
    pub id: String,
}

/// Why an answer of an authenticator is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// It cannot be read.
    #[error("the answer of the authenticator is malformed")]
    Malformed,
    /// It was made for another deed, page or question.
    #[error("the answer of the authenticator is for something else")]
    Elsewhere,
    /// Nobody touched the authenticator.
    #[error("nobody was present at the authenticator")]
    Absent,
    /// The key is none that we check with.
    #[error("the key is of an unknown kind")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    WrongSignature,
    /// It has counted less than before: there are two of it.
    #[error("the authenticator has been copied")]
    Copied,
}

/// What a page posts after it has made a passkey.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Created {
    id: String,
    client_data: String,
    authenticator_data: String,
    public_key: String,
    algorithm: i64,
}

/// What a page posts after it has used one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Used {
    id: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

impl RelyingParty {
    /// The pages under an address.
    #[must_use]
    pub fn of(public_url: &str) -> Option<RelyingParty> {
        let scheme_ends = public_url.find("://")?;
        let host_and_port = public_url.get(scheme_ends + 3..)?.split('/').next()?;
        let host = match host_and_port.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
            _ => host_and_port,
        };
        let origin = format!("{}://{host_and_port}", public_url.get(..scheme_ends)?);
        Some(RelyingParty { origin, id: host.to_owned() })
    }
}

/// The challenge that an answer says it was made for: to be looked up before anything else is believed.
///
/// # Errors
/// It cannot be read.
pub fn challenge_of(answer: &str) -> Result<String, PasskeyError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Either {
        client_data: String,
    }
    let Either { client_data } = read(answer)?;
    Ok(parse_client_data(&client_data)?.0.challenge)
}

/// Takes a new passkey.
///
/// # Errors
/// The answer is not one to this challenge from our own page, or its key is none that we check with.
pub fn register(
    party: &RelyingParty,
    challenge: &str,
    answer: &str,
    (name, now): (&str, i64),
) -> Result<Passkey, PasskeyError> {
    let created: Created = read(answer)?;
    check_client_data(party, ("webauthn.create", challenge), &created.client_data)?;
    let authenticator_data = decode(&created.authenticator_data)?;
    let counter = check_authenticator_data(party, &authenticator_data)?;
    // WebAuthn 6.5.1: after the 37 bytes that are always there 16 of the model, the length of the id, the id.
    let id = decode(&created.id)?;
    let length =
        authenticator_data.get(53..55).map(|it| it.iter().fold(0, |sum, it| sum * 256 + usize::from(*it)));
    let attested = length.and_then(|length| authenticator_data.get(55..55 + length));
    if !(16..=1023).contains(&id.len()) || attested != Some(id.as_slice()) {
        return Err(PasskeyError::Malformed);
    }
    let key = decode(&created.public_key)?;
    let algorithm = verification(created.algorithm)?;
    UnparsedPublicKey::new(algorithm, &key).parse().map_err(|_| PasskeyError::UnknownKey)?;
    Ok(Passkey {
        id: URL_SAFE_NO_PAD.encode(id),
        key: URL_SAFE_NO_PAD.encode(key),
        algorithm: created.algorithm,
        counter,
        name: name.to_owned(),
        created: now,
    })
}

/// Checks a signature of one of these passkeys: the place of that one, and what it has counted.
///
/// # Errors
/// The answer is not one to this challenge from our own page, or not of one of these.
pub fn authenticate(
    party: &RelyingParty,
    challenge: &str,
    answer: &str,
    passkeys: &[Passkey],
) -> Result<(usize, u32), PasskeyError> {
    let used: Used = read(answer)?;
    let place = passkeys.iter().position(|it| it.id == used.id).ok_or(PasskeyError::UnknownKey)?;
    let passkey = passkeys.get(place).ok_or(PasskeyError::UnknownKey)?;
    let client_data = check_client_data(party, ("webauthn.get", challenge), &used.client_data)?;
    let authenticator_data = decode(&used.authenticator_data)?;
    let counter = check_authenticator_data(party, &authenticator_data)?;
    let mut signed = authenticator_data;
    signed.extend_from_slice(&Sha256::digest(&client_data));
    let key = decode(&passkey.key)?;
    UnparsedPublicKey::new(verification(passkey.algorithm)?, key)
        .verify(&signed, &decode(&used.signature)?)
        .map_err(|_| PasskeyError::WrongSignature)?;
    // 7.2, step 22: those that do not count always say zero.
    if (counter, passkey.counter) != (0, 0) && counter <= passkey.counter {
        return Err(PasskeyError::Copied);
    }
    Ok((place, counter))
}

fn verification(algorithm: i64) -> Result<&'static dyn VerificationAlgorithm, PasskeyError> {
    match algorithm {
        -7 => Ok(&ECDSA_P256_SHA256_ASN1),
        -257 => Ok(&RSA_PKCS1_2048_8192_SHA256),
        _ => Err(PasskeyError::UnknownKey),
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, PasskeyError> {
    if answer.len() > LONGEST {
        return Err(PasskeyError::Malformed);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Malformed)
}

fn decode(text: &str) -> Result<Vec<u8>, PasskeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyError::Malformed)
}

fn parse_client_data(text: &str) -> Result<(ClientData, Vec<u8>), PasskeyError> {
    let bytes = decode(text)?;
    let data = serde_json::from_slice(&bytes).map_err(|_| PasskeyError::Malformed)?;
    Ok((data, bytes))
}

/// The bytes of what the browser says about the page.
fn check_client_data(
    party: &RelyingParty,
    (kind, challenge): (&str, &str),
    text: &str,
) -> Result<Vec<u8>, PasskeyError> {
    let (data, bytes) = parse_client_data(text)?;
    let is_ours =
        data.kind == kind && data.challenge == challenge && data.origin == party.origin && !data.cross_origin;
    if is_ours { Ok(bytes) } else { Err(PasskeyError::Elsewhere) }
}

/// How often the authenticator has signed, where it was for us and somebody was there.
fn check_authenticator_data(party: &RelyingParty, data: &[u8]) -> Result<u32, PasskeyError> {
    const USER_PRESENT: u8 = 1;
    let (hash, rest) = data.split_first_chunk::<32>().ok_or(PasskeyError::Malformed)?;
    let (flags, rest) = rest.split_first().ok_or(PasskeyError::Malformed)?;
    let (counter, _) = rest.split_first_chunk::<4>().ok_or(PasskeyError::Malformed)?;
    if hash.as_slice() != Sha256::digest(party.id.as_bytes()).as_slice() {
        return Err(PasskeyError::Elsewhere);
    }
    if flags & USER_PRESENT == 0 {
        return Err(PasskeyError::Absent);
    }
    Ok(u32::from_be_bytes(*counter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::{Value, json};

    const CHALLENGE: &str = "Y2hhbGxlbmdl";

    /// An authenticator, and what it may get wrong.
    struct Authenticator {
        key: EcdsaKeyPair,
        party: &'static str,
        flags: u8,
    }

    impl Authenticator {
        fn new() -> Authenticator {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            Authenticator { key, party: "h.example", flags: 0x45 }
        }

        fn data(&self, counter: u32, is_new: bool) -> Vec<u8> {
            let mut data = Sha256::digest(self.party.as_bytes()).to_vec();
            data.push(self.flags);
            data.extend(counter.to_be_bytes());
            if is_new {
                data.extend([0; 16]);
                data.extend([0, 16]);
                data.extend([7; 16]);
            }
            data
        }

        fn created(&self, client_data: &Value) -> Value {
            let der: PublicKeyX509Der<'_> = self.key.public_key().as_der().unwrap();
            json!({
                "id": URL_SAFE_NO_PAD.encode([7; 16]),
                "clientData": URL_SAFE_NO_PAD.encode(client_data.to_string()),
                "authenticatorData": URL_SAFE_NO_PAD.encode(self.data(1, true)),
                "publicKey": URL_SAFE_NO_PAD.encode(der.as_ref()),
                "algorithm": -7,
            })
        }

        fn used(&self, client_data: &Value, counter: u32) -> Value {
            let (client_data, data) = (client_data.to_string(), self.data(counter, false));
            let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
            json!({
                "id": URL_SAFE_NO_PAD.encode([7; 16]),
                "clientData": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(self.key.sign(&SystemRandom::new(), &signed).unwrap()),
            })
        }
    }

    fn party() -> RelyingParty {
        RelyingParty::of("https://h.example:8443").unwrap()
    }

    fn client_data(kind: &str) -> Value {
        json!({ "type": kind, "challenge": CHALLENGE, "origin": "https://h.example:8443", "crossOrigin": false })
    }

    fn take(answer: &Value) -> Result<Passkey, PasskeyError> {
        register(&party(), CHALLENGE, &answer.to_string(), ("mine", 0))
    }

    #[test]
    fn what_is_registered_signs_in() {
        let authenticator = Authenticator::new();
        let passkey = take(&authenticator.created(&client_data("webauthn.create"))).unwrap();
        assert_eq!((passkey.counter, passkey.name.as_str()), (1, "mine"));
        let used = authenticator.used(&client_data("webauthn.get"), 2).to_string();
        assert_eq!(challenge_of(&used).unwrap(), CHALLENGE);
        let check = |answer: &str| authenticate(&party(), CHALLENGE, answer, std::slice::from_ref(&passkey));
        assert_eq!(check(&used), Ok((0, 2)));
        let copied = authenticator.used(&client_data("webauthn.get"), 1).to_string();
        assert_eq!(check(&copied), Err(PasskeyError::Copied));
        let other = Authenticator::new().used(&client_data("webauthn.get"), 2).to_string();
        assert_eq!(check(&other), Err(PasskeyError::WrongSignature));
        assert_eq!(authenticate(&party(), CHALLENGE, &used, &[]), Err(PasskeyError::UnknownKey));
    }

    #[test]
    fn an_answer_from_elsewhere_is_refused() {
        let authenticator = Authenticator::new();
        for (name, value) in [
            ("type", json!("webauthn.get")),
            ("challenge", json!("YW5vdGhlcg")),
            ("origin", json!("https://h.example")),
            ("crossOrigin", json!(true)),
        ] {
            let mut data = client_data("webauthn.create");
            data[name] = value;
            assert_eq!(take(&authenticator.created(&data)), Err(PasskeyError::Elsewhere), "{name}");
        }
        let good = client_data("webauthn.create");
        let phished = Authenticator { party: "evil.example", ..Authenticator::new() };
        assert_eq!(take(&phished.created(&good)), Err(PasskeyError::Elsewhere));
        let absent = Authenticator { flags: 0x40, ..Authenticator::new() };
        assert_eq!(take(&absent.created(&good)), Err(PasskeyError::Absent));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let good = Authenticator::new().created(&client_data("webauthn.create"));
        for (name, value, error) in [
            ("algorithm", json!(-8), PasskeyError::UnknownKey),
            ("publicKey", json!("AAAA"), PasskeyError::UnknownKey),
            ("id", json!(URL_SAFE_NO_PAD.encode([8; 16])), PasskeyError::Malformed),
            ("authenticatorData", json!("AAAA"), PasskeyError::Malformed),
            ("clientData", json!("!"), PasskeyError::Malformed),
            ("more", json!(1), PasskeyError::Malformed),
        ] {
            let mut answer = good.clone();
            answer[name] = value;
            assert_eq!(take(&answer), Err(error), "{name}");
        }
        assert_eq!(challenge_of("{}"), Err(PasskeyError::Malformed));
        assert_eq!(challenge_of(&"x".repeat(10_000)), Err(PasskeyError::Malformed));
    }

    #[test]
    fn a_relying_party_is_its_address() {
        for (url, origin, id) in [
            ("https://h.example", "https://h.example", "h.example"),
            ("http://localhost:8000", "http://localhost:8000", "localhost"),
            ("https://h.example:8443/x", "https://h.example:8443", "h.example"),
        ] {
            let party = RelyingParty::of(url).unwrap();
            assert_eq!((party.origin.as_str(), party.id.as_str()), (origin, id));
        }
        assert!(RelyingParty::of("h.example").is_none());
    }
}
