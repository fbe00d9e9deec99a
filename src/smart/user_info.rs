//! Who the bearer's user is: <https://openid.net/specs/openid-connect-core-1_0.html#UserInfo>

use crate::smart::dpop::Presented;
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use crate::smart::{access_token, login};
use serde_json::{Value, json};
use uuid::Uuid;

/// Answers the bearer of an access token with the scope `openid`.
///
/// # Errors
/// The token is not good, or has not that scope.
pub async fn user_info(request: &Request, presented: Option<&Presented>) -> Result<Value, OAuthError> {
    let presented = presented.ok_or_else(OAuthError::invalid_token)?;
    let token = access_token::verify(&request.app, presented).await.map_err(|outcome| {
        if outcome.cause().is_some() { outcome.into() } else { OAuthError::invalid_token() }
    })?;
    let principal = &token.principal;
    let scopes = &principal.scopes;
    if !scopes.has("openid") {
        return Err(OAuthError::new("insufficient_scope", "the scope openid is missing"));
    }
    let mut answer = json!({ "sub": principal.subject });
    let Some(fields) = answer.as_object_mut() else { return Ok(answer) };
    if let Some(user) =
        principal.fhir_user.as_ref().filter(|_| scopes.has("fhirUser") || scopes.has("profile"))
    {
        let url = format!("{}/{user}", request.app.fhir_base());
        fields.insert("fhirUser".to_owned(), url.clone().into());
        fields.insert("profile".to_owned(), url.into());
    }
    if scopes.has("profile")
        && let Ok(id) = Uuid::parse_str(&principal.subject)
        && let Some(account) = login::by_id(request, id).await?
    {
        fields.insert("preferred_username".to_owned(), account.private.username.into());
        fields.extend(account.private.display.map(|it| ("name".to_owned(), it.into())));
    }
    Ok(answer)
}
