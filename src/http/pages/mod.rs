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

/// The one script: passkeys.
pub(super) const SCRIPT: &str = include_str!("passkey.js");

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
{%- if has_script %}
<script src="/assets/passkey.js" defer></script>
{%- endif %}
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
    has_script: bool,
}

/// Whether a page has something to do for the script.
pub(super) fn has_script(page: &Page) -> bool {
    page.form().is_some_and(|form| form.question.is_some())
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
        Page::Consent { form, patient, scopes, may_remember } => {
            (format!("Let {} in?", form.client), consent(form, patient.as_deref(), scopes, *may_remember))
        }
        Page::Grants { form, grants: found, remembered } => {
            ("Your apps".to_owned(), grants(form, found, remembered))
        }
        Page::Factors { form, user, passkeys, linked, codes_left } => {
            ("How you sign in".to_owned(), forms::factors(form, user, (passkeys, linked), *codes_left))
        }
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
    Frame { title: &title, body: &body, has_script: has_script(page) }.render().unwrap_or_default()
}

fn consent(form: &Form, patient: Option<&str>, scopes: &[ScopeChoice], may_remember: bool) -> String {
    let mut body = String::new();
    if let Some(patient) = patient {
        body.push_str(&format!("<p>For the record of <strong>{}</strong>.</p>", escape(patient)));
    }
    body.push_str(
        "<p>The app asks to do this. Untick what it shall not do; instead of a whole you may tick parts of it.</p>",
    );
    body.push_str(&forms::open("flow", form, "consent"));
    body.push_str("<fieldset><legend class=\"sr\">What the app may do</legend><ul class=\"choices\">");
    let mut scopes = scopes.iter().peekable();
    while let Some(choice) = scopes.next() {
        body.push_str(&format!("<li>{}", tick(choice)));
        if scopes.peek().is_some_and(|it| it.is_finer) {
            body.push_str("<details><summary>Only a part of this</summary><ul>");
            while let Some(part) = scopes.next_if(|it| it.is_finer) {
                body.push_str(&format!("<li>{}</li>", tick(part)));
            }
            body.push_str("</ul></details>");
        }
        body.push_str("</li>");
    }
    body.push_str("</ul></fieldset>");
    if may_remember {
        body.push_str(
            "<p class=\"tick\"><input type=\"checkbox\" name=\"remember\" id=\"remember\" value=\"yes\">\
             <label for=\"remember\">Answer the same for ninety days, without asking me</label></p>",
        );
    }
    body.push_str(
        "<div class=\"buttons\"><button name=\"decision\" value=\"allow\">Allow</button>\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Deny</button></div></form>",
    );
    body
}

/// A scope to tick. What it says in full stands there for the whole ones; a part is told by its name.
fn tick(choice: &ScopeChoice) -> String {
    let (id, scope, label) = (escape(&choice.id), escape(&choice.scope), escape(&choice.label));
    let (checked, code) = match choice.is_finer {
        true => ("", String::new()),
        false => (" checked", format!("<br><code class=\"faint\">{scope}</code>")),
    };
    format!(
        "<input type=\"checkbox\" name=\"scope\" id=\"s-{id}\" value=\"{scope}\"{checked}>\
         <label for=\"s-{id}\">{label}{code}</label>"
    )
}

fn grants(form: &Form, grants: &[Choice], remembered: &[Choice]) -> String {
    let mut body = if grants.is_empty() {
        "<p>You have let no app in.</p>".to_owned()
    } else {
        "<p>These apps may act for you. Take back what you do not want any more.</p>".to_owned()
    };
    body.push_str(&with_buttons(form, grants, ("grant", "Take back")));
    if !remembered.is_empty() {
        body.push_str(
            "<h2>Answered without asking</h2><p>These apps come in again as you let them in before.</p>",
        );
        body.push_str(&with_buttons(form, remembered, ("forget", "Ask me again")));
    }
    body.push_str(FACTORS_LINK);
    body
}

/// A list of things, each with a button that sends its value.
fn with_buttons(form: &Form, choices: &[Choice], (field, button): (&str, &str)) -> String {
    if choices.is_empty() {
        return String::new();
    }
    let mut body = forms::open("manage", form, "");
    body.push_str("<ul class=\"choices\">");
    for choice in choices {
        body.push_str(&format!(
            "<li><div><strong>{label}</strong><br><span class=\"faint\">{}</span></div>\
             <button class=\"quiet\" name=\"{field}\" value=\"{}\" aria-label=\"{button}: {label}\">{button}</button></li>",
            escape(&choice.detail),
            escape(&choice.value),
            label = escape(&choice.label),
        ));
    }
    body.push_str("</ul></form>");
    body
}

const FACTORS_LINK: &str = "<p class=\"more\"><a href=\"/auth/factors\">How you sign in</a> · \
                            <a href=\"/auth/logout\">Log out</a></p>";

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
    use crate::smart::page::Question;

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
            providers: vec![choice()],
            question: Some(Question {
                challenge: evil.into(),
                party: evil.into(),
                passkeys: vec![evil.into()],
            }),
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
            Page::Consent {
                form: form.clone(),
                patient: Some(evil.into()),
                scopes: vec![scope],
                may_remember: true,
            },
            Page::Grants { form: form.clone(), grants: vec![choice()], remembered: vec![choice()] },
            Page::Factors {
                form: form.clone(),
                user: (evil.into(), evil.into()),
                passkeys: vec![choice()],
                linked: vec![choice()],
                codes_left: 3,
            },
            Page::LogOut { form, hidden: vec![("state", evil.into())] },
            Page::Notice { title: "Done", text: evil.into() },
            Page::Error { code: "invalid_request", text: evil.into(), retry_after_seconds: None },
        ] {
            let html = html(&page).replace("<script src=\"/assets/passkey.js\" defer></script>", "");
            assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "{html}");
            assert!(
                !html.contains("<script") && !html.contains(" style=") && !html.contains("=\"<"),
                "{html}"
            );
        }
    }
}
