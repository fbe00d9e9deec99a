//! Accounts, each as a `Person`: <https://hl7.org/fhir/R4/person.html>
//!
//! `identifier` holds the name to sign in with, `name.text` how the user is addressed, `link.target` the resource that
//! they are, `active` whether they may sign in. The role, and whether a second factor is there, are extensions. A
//! password is made up here and told once; nobody who administers chooses one for somebody else.

use super::{MOST, not_oneself, object, unknown};
use crate::crypto::random;
use crate::smart::accounts::{self, User};
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use crate::smart::revoke;
use crate::store::accounts::Account;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

/// The system of names to sign in with.
pub const USERNAME: &str = "https://vesta.example/fhir/NamingSystem/username";
/// The extension that holds the role: a valueCode.
pub const ROLE: &str = "https://vesta.example/fhir/StructureDefinition/account-role";
/// The extension that says whether a second factor is there: a valueBoolean. It is only told, never taken.
pub const SECOND_FACTOR: &str = "https://vesta.example/fhir/StructureDefinition/account-second-factor";
/// Where the user is a PractitionerRole, which R4 lets no Person link to: a valueReference.
pub const FHIR_USER: &str = "https://vesta.example/fhir/StructureDefinition/account-user";

/// The accounts after that one, in the order in which they were made, or the one of that name: a searchset.
///
/// # Errors
/// The database fails.
pub async fn list(
    request: &Request,
    (username, after): (Option<&str>, Option<&str>),
) -> Result<Value, OAuthError> {
    let base = request.app.config.public_url();
    let accounts = match username {
        Some(username) => {
            let found = request.app.store.account_named(request.tenant, username).await?;
            found.into_iter().collect()
        }
        None => {
            let after = match after {
                Some(text) => parse_id(text)?,
                None => Uuid::nil(),
            };
            request.app.store.accounts_after(request.tenant, after, MOST).await?
        }
    };
    let is_full = i64::try_from(accounts.len()).is_ok_and(|it| it == MOST);
    let next = accounts
        .last()
        .filter(|_| is_full)
        .map(|last| json!([{ "relation": "next", "url": format!("{base}/admin/users?after={}", last.id) }]));
    let entries: Vec<Value> = accounts
        .iter()
        .map(|it| {
            let url = format!("{base}/admin/users/{}", it.id);
            json!({ "fullUrl": url, "resource": person(it), "search": { "mode": "match" } })
        })
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset" });
    if let Some(fields) = bundle.as_object_mut() {
        fields.extend(next.map(|it| ("link".to_owned(), it)));
        if !entries.is_empty() {
            fields.insert("entry".to_owned(), entries.into());
        }
    }
    Ok(bundle)
}

/// One account.
///
/// # Errors
/// There is no such account.
pub async fn read(request: &Request, id: &str) -> Result<Value, OAuthError> {
    Ok(person(&find(request, id).await?))
}

/// Makes an account: its id, and the Person with the password that was made up, as Parameters.
///
/// # Errors
/// The Person says something that an account cannot be, or there is one of that name.
pub async fn create(request: &Request, body: &[u8]) -> Result<(String, Value), OAuthError> {
    let mut user = parse(&object(body)?)?.user;
    if user.username.is_empty() {
        return Err(OAuthError::invalid_request("Person.identifier holds no name to sign in with"));
    }
    if request.app.store.account_named(request.tenant, &user.username).await?.is_some() {
        return Err(OAuthError::new("conflict", "there is an account of that name"));
    }
    let password = random::token_urlsafe(15);
    user.password = Some(password.clone());
    let id = accounts::put_user(request, &user).await?.to_string();
    let account = find(request, &id).await?;
    Ok((id, with_password(&account, &password)))
}

/// Changes an account: what the Person leaves unsaid stays, but for `active`, which is true where nothing is said.
///
/// # Errors
/// There is no such account, or the Person says something that it cannot be.
pub async fn update(request: &Request, id: &str, body: &[u8]) -> Result<Value, OAuthError> {
    let account = find(request, id).await?;
    let Asked { user, is_active } = parse(&object(body)?)?;
    if !user.username.is_empty() && user.username != account.private.username {
        return Err(OAuthError::invalid_request("the name to sign in with does not change"));
    }
    let is_other_role = user.role.as_ref().is_some_and(|it| *it != account.role);
    if is_other_role || !is_active {
        not_oneself(request, id)?;
    }
    let user = User { username: account.private.username.clone(), ..user };
    // Putting an account opens it again: whoever is out stays out but where it is said that they are in.
    accounts::put_user(request, &user).await?;
    if !is_active {
        revoke::disable_user(request, account.id).await?;
    }
    read(request, id).await
}

/// Lets nobody sign in with an account any more, and ends everything that it began.
///
/// # Errors
/// There is no such account.
pub async fn disable(request: &Request, id: &str) -> Result<(), OAuthError> {
    let account = find(request, id).await?;
    not_oneself(request, id)?;
    revoke::disable_user(request, account.id).await
}

/// Forgets the second factor of a user who has lost it.
///
/// # Errors
/// There is no such account.
pub async fn reset_second_factor(request: &Request, id: &str) -> Result<Value, OAuthError> {
    let account = find(request, id).await?;
    not_oneself(request, id)?;
    accounts::reset_second_factor(request, &account.private.username).await?;
    read(request, id).await
}

/// Makes up another password, told once, and ends the sessions.
///
/// # Errors
/// There is no such account.
pub async fn reset_password(request: &Request, id: &str) -> Result<Value, OAuthError> {
    let account = find(request, id).await?;
    not_oneself(request, id)?;
    let password = random::token_urlsafe(15);
    accounts::set_password(request, account.id, &password).await?;
    Ok(with_password(&find(request, id).await?, &password))
}

/// Ends the sessions of a user, and all access that they gave to apps; they may sign in again.
///
/// # Errors
/// There is no such account.
pub async fn sign_out(request: &Request, id: &str) -> Result<Value, OAuthError> {
    let account = find(request, id).await?;
    revoke::sign_out_user(request, account.id).await?;
    read(request, id).await
}

/// What a Person asks for.
struct Asked {
    user: User,
    is_active: bool,
}

fn parse(person: &Value) -> Result<Asked, OAuthError> {
    let bad = |text: String| OAuthError::invalid_request(text);
    if person.get("resourceType").and_then(Value::as_str) != Some("Person") {
        return Err(bad("an account is a Person".into()));
    }
    let known = ["resourceType", "id", "meta", "extension", "identifier", "name", "active", "link", "text"];
    if let Some(other) = person.as_object().and_then(|it| it.keys().find(|it| !known.contains(&it.as_str())))
    {
        return Err(bad(format!("Person.{other} is not kept for accounts")));
    }
    let items = |name: &str| person.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |of: &Value, pointer: &str| of.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let is_active = match person.get("active") {
        None => true,
        Some(Value::Bool(it)) => *it,
        Some(_) => return Err(bad("Person.active is true or false".into())),
    };
    let mut user = User { name: items("name").first().and_then(|it| text(it, "/text")), ..User::default() };
    for it in items("identifier") {
        if text(&it, "/system").as_deref() == Some(USERNAME) {
            user.username = text(&it, "/value").unwrap_or_default();
        }
    }
    for it in items("link") {
        if user.fhir_user.is_some() {
            return Err(bad("Person.link: an account is one resource".into()));
        }
        user.fhir_user = text(&it, "/target/reference");
    }
    for it in items("extension") {
        match text(&it, "/url").as_deref() {
            Some(ROLE) => user.role = text(&it, "/valueCode"),
            Some(FHIR_USER) => user.fhir_user = text(&it, "/valueReference/reference"),
            Some(SECOND_FACTOR) => {}
            _ => return Err(bad("Person.extension: this one is not kept for accounts".into())),
        }
    }
    Ok(Asked { user, is_active })
}

fn person(account: &Account) -> Value {
    let private = &account.private;
    let has_second_factor = private.totp.is_some() || !private.passkeys.is_empty();
    let mut extensions = vec![
        json!({ "url": ROLE, "valueCode": account.role }),
        json!({ "url": SECOND_FACTOR, "valueBoolean": has_second_factor }),
    ];
    let mut person = json!({
        "resourceType": "Person",
        "id": account.id.to_string(),
        "identifier": [{ "system": USERNAME, "value": private.username }],
        "active": account.disabled.is_none(),
    });
    let Some(fields) = person.as_object_mut() else { return person };
    if let Some(name) = &private.display {
        fields.insert("name".to_owned(), json!([{ "text": name }]));
    }
    match account.fhir_user.as_deref() {
        Some(user) if user.starts_with("PractitionerRole/") => {
            extensions.push(json!({ "url": FHIR_USER, "valueReference": { "reference": user } }));
        }
        Some(user) => {
            fields.insert("link".to_owned(), json!([{ "target": { "reference": user } }]));
        }
        None => {}
    }
    fields.insert("extension".to_owned(), extensions.into());
    person
}

fn with_password(account: &Account, password: &SecretString) -> Value {
    json!({
        "resourceType": "Parameters",
        "parameter": [
            { "name": "user", "resource": person(account) },
            { "name": "password", "valueString": password.expose_secret() }
        ]
    })
}

async fn find(request: &Request, id: &str) -> Result<Account, OAuthError> {
    let account = request.app.store.account_by_id(request.tenant, parse_id(id)?).await?;
    account.ok_or_else(unknown)
}

fn parse_id(text: &str) -> Result<Uuid, OAuthError> {
    Uuid::parse_str(text).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_says_what_an_account_is_and_nothing_that_is_not_kept() {
        let good = json!({
            "resourceType": "Person",
            "identifier": [{ "system": "urn:other", "value": "x" }, { "system": USERNAME, "value": "ada" }],
            "name": [{ "text": "Ada Example" }], "active": false,
            "link": [{ "target": { "reference": "Practitioner/ada" } }],
            "extension": [{ "url": ROLE, "valueCode": "nurse" }, { "url": SECOND_FACTOR, "valueBoolean": true }]
        });
        let Asked { user, is_active } = parse(&good).unwrap();
        assert!(!is_active);
        assert_eq!((user.username.as_str(), user.role.as_deref()), ("ada", Some("nurse")));
        assert_eq!(
            (user.name.as_deref(), user.fhir_user.as_deref()),
            (Some("Ada Example"), Some("Practitioner/ada"))
        );
        for bad in [
            json!({ "resourceType": "Patient" }),
            json!({ "resourceType": "Person", "telecom": [] }),
            json!({ "resourceType": "Person", "active": "yes" }),
            json!({ "resourceType": "Person", "extension": [{ "url": "urn:x", "valueString": "y" }] }),
            json!({ "resourceType": "Person", "link": [{ "target": { "reference": "Patient/1" } }, {}] }),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
