//! Telling somebody outside: by webhook, by mail, or both; whatever is set.
//!
//! A notice says how many of what, and where to look. It is delivered when everybody who is set took it; otherwise the
//! job that sends it tries again, and some may get it twice.

use crate::config::Config;
use crate::config::review::Review;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What somebody is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// In a line.
    pub subject: String,
    /// In words.
    pub text: String,
    /// For programs: the webhook gets it.
    pub data: Value,
    /// Files that go with a mail: name, media type, content.
    pub files: Vec<(&'static str, &'static str, String)>,
}

/// Sends a notice to everybody who is set. Nobody is set: then there is nothing to do.
///
/// # Errors
/// Somebody did not take it: who, and why.
pub async fn send(config: &Config, notice: &Notice) -> Result<(), String> {
    let review = &config.review;
    if let Some(url) = &review.webhook {
        post(review, url, notice).await.map_err(|reason| format!("the webhook: {reason}"))?;
    }
    if !review.mail_to.is_empty() {
        mail(review, notice).await.map_err(|reason| format!("the mail server: {reason}"))?;
    }
    Ok(())
}

async fn post(review: &Review, url: &str, notice: &Notice) -> Result<(), String> {
    let mut builder =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    if let Some(file) = &review.authorities {
        let pem = std::fs::read(file).map_err(|error| error.to_string())?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| "the authorities are not PEM")?;
        builder = builder.tls_certs_only(certificates);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    let body = json!({ "subject": notice.subject, "text": notice.text, "data": notice.data });
    let mut request = client.post(url).header("content-type", "application/json").body(body.to_string());
    if let Some(token) = &review.webhook_token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}

async fn mail(review: &Review, notice: &Notice) -> Result<(), String> {
    let from = review.mail_from.as_deref().ok_or("VESTA_REVIEW_MAIL_FROM is missing")?;
    let mut message = Message::builder().subject(notice.subject.as_str());
    message = message.from(from.parse().map_err(|_| "VESTA_REVIEW_MAIL_FROM is no address")?);
    for to in &review.mail_to {
        message = message.to(to.parse().map_err(|_| "VESTA_REVIEW_MAIL_TO is no address")?);
    }
    let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(notice.text.clone()));
    for (name, kind, content) in &notice.files {
        let kind = ContentType::parse(kind).map_err(|error| error.to_string())?;
        parts = parts.singlepart(Attachment::new((*name).to_owned()).body(content.clone(), kind));
    }
    let message = message.multipart(parts).map_err(|error| error.to_string())?;
    let transport = transport(review)?;
    transport.send(message).await.map_err(|error| error.to_string())?;
    Ok(())
}

/// `smtps://` is TLS from the start, `smtp://` must go over to TLS, but for a server on this machine.
fn transport(review: &Review) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let server = review.mail_server.as_deref().ok_or("VESTA_REVIEW_MAIL_SERVER is missing")?;
    let url = Url::parse(server).map_err(|_| "VESTA_REVIEW_MAIL_SERVER is no URL")?;
    let host = url.host_str().ok_or("VESTA_REVIEW_MAIL_SERVER names no host")?;
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).timeout(Some(PATIENCE));
    let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    let (tls, port) = match url.scheme() {
        "smtps" => (Tls::Wrapper(parameters(review, host)?), 465),
        "smtp" if is_here => (Tls::None, 25),
        "smtp" => (Tls::Required(parameters(review, host)?), 587),
        _ => return Err("VESTA_REVIEW_MAIL_SERVER is smtp:// or smtps://".to_owned()),
    };
    builder = builder.tls(tls).port(url.port().unwrap_or(port));
    if let (Some(user), Some(password)) = (&review.mail_user, &review.mail_password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(review: &Review, host: &str) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(file) = &review.authorities {
        let pem = std::fs::read(file).map_err(|error| error.to_string())?;
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| error.to_string())?);
    }
    builder.build_rustls().map_err(|error| error.to_string())
}
