//! Our own pages: plain HTML forms, readable without scripts, on a telephone, and aloud.
//!
//! Field names are an interface, since people script these forms: `username`, `password`, `otp`, `patient`,
//! `name`, `birthdate`, `encounter`, `scope`, `decision`, `grant`, and hidden `flow`, `step` and `csrf`.
//!
//! # Decision 2026-11-24
//! Written by functions over one template, not by a template per page: the pages are short, and every value
//! goes through one escape (askama's), which the frame alone is trusted around.

mod forms;

use crate::smart::page::{Choice, Form, Page, ScopeChoice};
use askama::Template;

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// What every page stands in. `body` is HTML that this room made.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }} · Vesta</title>
<link rel="stylesheet" href="/assets/style.css">
</head>
<body>
<main>
<header><svg width="22" height="28" viewBox="0 0 22 28" aria-hidden="true"><path d="M11 0c1 6 8 9 8 17a8 8 0 0 1-16 0c0-4 3-6 4-9 1 2 1 3 2 4 2-3 3-7 2-12z"/></svg>Vesta</header>
<div class="sheet">
<h1>{{ title }}</h1>
{{ body|safe }}
</div>
</main>
</body>
</html>
"#
)]
struct Frame<'a> {
    title: &'a str,
    body: &'a str,
}

/// The HTML of a page.
pub(super) fn html(page: &Page) -> String {
    let (title, body) = match page {
        Page::SignIn(form) => ("Sign in".to_owned(), forms::sign_in(form)),
        Page::SecondFactor(form) => ("Second factor".to_owned(), forms::second_factor(form)),
        Page::Enrolment { form, secret, picture } => {
            ("Set up a second factor".to_owned(), forms::enrolment(form, secret, picture))
        }
        Page::RecoveryCodes { form, codes } => {
            ("Keep your recovery codes".to_owned(), forms::recovery_codes(form, codes))
        }
        Page::PatientPicker { form, found } => {
            ("Choose a patient".to_owned(), forms::patients(form, found.as_deref()))
        }
        Page::EncounterPicker { form, found } => {
            ("Choose a visit".to_owned(), forms::encounters(form, found))
        }
        Page::Consent { form, patient, scopes } => {
            (format!("Let {} in?", form.client), consent(form, patient.as_deref(), scopes))
        }
        Page::Grants { form, grants: found } => ("Your apps".to_owned(), grants(form, found)),
        Page::LogOut { form, hidden } => ("Log out?".to_owned(), log_out(form, hidden)),
        Page::Notice { title, text } => ((*title).to_owned(), format!("<p>{}</p>", escape(text))),
        Page::Error { code, text, retry_after_seconds } => {
            let wait = retry_after_seconds.map(|it| format!("<p>Wait {it} seconds.</p>")).unwrap_or_default();
            let body = format!(
                "<p>{}.</p>{wait}<p class=\"faint\">Nothing was sent to the app. <code>{}</code></p>",
                escape(text),
                escape(code)
            );
            ("This cannot go on".to_owned(), body)
        }
    };
    // The frame has no loop and no failing value: it renders.
    Frame { title: &title, body: &body }.render().unwrap_or_default()
}

fn consent(form: &Form, patient: Option<&str>, scopes: &[ScopeChoice]) -> String {
    let mut body = String::new();
    if let Some(patient) = patient {
        body.push_str(&format!("<p>For the record of <strong>{}</strong>.</p>", escape(patient)));
    }
    body.push_str(
        "<p>The app asks to do this. Untick what it shall not do; tick a part to grant only that.</p>",
    );
    body.push_str(&forms::open("flow", form, "consent"));
    body.push_str("<fieldset><legend class=\"sr\">What the app may do</legend><ul class=\"choices\">");
    for choice in scopes {
        let (class, checked) = if choice.is_finer { (" class=\"finer\"", "") } else { ("", " checked") };
        let prefix = if choice.is_finer { "only " } else { "" };
        body.push_str(&format!(
            "<li{class}><input type=\"checkbox\" name=\"scope\" id=\"s-{id}\" value=\"{scope}\"{checked}>\
             <label for=\"s-{id}\">{prefix}{label}<br><code class=\"faint\">{scope}</code></label></li>",
            id = escape(&choice.id),
            scope = escape(&choice.scope),
            label = escape(&choice.label),
        ));
    }
    body.push_str("</ul></fieldset>");
    body.push_str(
        "<div class=\"buttons\"><button name=\"decision\" value=\"allow\">Allow</button>\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Deny</button></div></form>",
    );
    body
}

fn grants(form: &Form, grants: &[Choice]) -> String {
    if grants.is_empty() {
        return "<p>You have let no app in.</p>".to_owned();
    }
    let mut body = "<p>These apps may act for you. Take back what you do not want any more.</p>".to_owned();
    body.push_str(&forms::open("manage", form, ""));
    body.push_str("<ul class=\"choices\">");
    for grant in grants {
        body.push_str(&format!(
            "<li><div><strong>{}</strong><br><code class=\"faint\">{}</code></div>\
             <button class=\"quiet\" name=\"grant\" value=\"{}\">Take back</button></li>",
            escape(&grant.label),
            escape(&grant.detail),
            escape(&grant.value),
        ));
    }
    body.push_str("</ul></form>");
    body
}

fn log_out(form: &Form, hidden: &[(&'static str, String)]) -> String {
    let mut body = "<p>Apps that only work while you are here lose their access, too.</p>".to_owned();
    body.push_str(&forms::open("logout", form, ""));
    for (name, value) in hidden {
        body.push_str(&forms::hidden(name, value));
    }
    body.push_str("<div class=\"buttons\"><button>Log out</button></div></form>");
    body
}

/// A text as HTML.
fn escape(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html).map(|it| it.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_becomes_markup() {
        let evil = "<script>alert(1)</script>\"'&";
        let choice = || Choice { value: evil.into(), label: evil.into(), detail: evil.into() };
        let form = Form {
            flow: evil.into(),
            csrf: evil.into(),
            client: evil.into(),
            complaint: Some(evil.into()),
            onward: String::new(),
            retry_after_seconds: None,
        };
        let scope = ScopeChoice { id: evil.into(), scope: evil.into(), label: evil.into(), is_finer: true };
        for page in [
            Page::SignIn(form.clone()),
            Page::SecondFactor(form.clone()),
            Page::Enrolment { form: form.clone(), secret: evil.into(), picture: String::new() },
            Page::RecoveryCodes { form: form.clone(), codes: vec![evil.into()] },
            Page::PatientPicker { form: form.clone(), found: Some(vec![choice()]) },
            Page::EncounterPicker { form: form.clone(), found: vec![choice()] },
            Page::Consent { form: form.clone(), patient: Some(evil.into()), scopes: vec![scope] },
            Page::Grants { form: form.clone(), grants: vec![choice()] },
            Page::LogOut { form, hidden: vec![("state", evil.into())] },
            Page::Notice { title: "Done", text: evil.into() },
            Page::Error { code: "invalid_request", text: evil.into(), retry_after_seconds: None },
        ] {
            let html = html(&page);
            assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "{html}");
            assert!(
                !html.contains("<script") && !html.contains(" style=") && !html.contains("=\"<"),
                "{html}"
            );
        }
    }
}
