//! The forms of a flow.

use super::escape;
use crate::smart::page::{Choice, Form};

/// The beginning of a form: what was wrong, where it goes, and its hidden fields.
pub(super) fn open(action: &str, form: &Form, step: &str) -> String {
    let mut html = String::new();
    if let Some(complaint) = &form.complaint {
        html.push_str(&format!("<p class=\"complaint\" role=\"alert\">{}</p>", escape(complaint)));
    }
    html.push_str(&format!("<form method=\"post\" action=\"/auth/{action}\">"));
    html.push_str(&hidden("csrf", &form.csrf));
    if !form.flow.is_empty() {
        html.push_str(&hidden("flow", &form.flow));
        html.push_str(&hidden("step", step));
    }
    html
}

/// A hidden field.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

pub(super) fn sign_in(form: &Form) -> String {
    let lead = if form.client.is_empty() {
        String::new()
    } else {
        format!("<p>To go on to <strong>{}</strong>.</p>", escape(&form.client))
    };
    format!(
        "{lead}{}<label for=\"username\">User name</label>\
         <input type=\"text\" id=\"username\" name=\"username\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required autofocus>\
         <label for=\"password\">Password</label>\
         <input type=\"password\" id=\"password\" name=\"password\" autocomplete=\"current-password\" required>\
         <div class=\"buttons\"><button>Sign in</button>{}</div></form>{}",
        open("flow", form, "sign-in"),
        cancel(),
        providers(form),
    )
}

/// Links, not buttons: browsers hold the redirections of a form to our own policy.
fn providers(form: &Form) -> String {
    let link = |it: &Choice| {
        let flow = escape(&form.flow);
        let (provider, name) = (escape(&it.value), escape(&it.label));
        format!(
            "<a class=\"button\" href=\"/auth/federate?flow={flow}&amp;provider={provider}\">Sign in with {name}</a>"
        )
    };
    let links: String = form.providers.iter().map(link).collect();
    if links.is_empty() { links } else { format!("<div class=\"buttons others\">{links}</div>") }
}

pub(super) fn second_factor(form: &Form) -> String {
    format!(
        "<p>Enter the code that your authenticator app shows, or one of your recovery codes.</p>{}{}\
         <div class=\"buttons\"><button>Go on</button>{}</div></form>{}",
        open("flow", form, "second-factor"),
        code_field(),
        cancel(),
        passkey(form, "flow", "second-factor", "", "Use a passkey"),
    )
}

/// A form that the script shows, where there is a question for authenticators: a passkey for it.
fn passkey(form: &Form, action: &str, step: &str, more: &str, button: &str) -> String {
    let Some(question) = &form.question else { return String::new() };
    let plain = Form { complaint: None, ..form.clone() };
    let data = format!(
        "<form hidden data-challenge=\"{}\" data-party=\"{}\" data-passkeys=\"{}\"",
        escape(&question.challenge),
        escape(&question.party),
        escape(&question.passkeys.join(" "))
    );
    let fields = open(action, &plain, step).replacen("<form", &data, 1);
    format!(
        "{fields}{more}<input type=\"hidden\" name=\"passkey\"><div class=\"buttons\">\
         <button class=\"quiet\">{button}</button></div>\
         <p class=\"complaint\" role=\"alert\" hidden>No passkey was used. Try again, or go on without one.</p></form>"
    )
}

/// A list of things, each with a button that takes it away.
fn removable(form: &Form, choices: &[Choice], (field, button): (&str, &str)) -> String {
    let mut html = open("factors", form, "");
    html.push_str("<ul class=\"choices\">");
    for it in choices {
        html.push_str(&format!(
            "<li><div><strong>{name}</strong><br><span class=\"faint\">{}</span></div>\
             <button class=\"quiet\" name=\"{field}\" value=\"{}\" aria-label=\"{button} {name}\">{button}</button></li>",
            escape(&it.detail),
            escape(&it.value),
            name = escape(&it.label),
        ));
    }
    html.push_str("</ul></form>");
    html
}

/// The passkeys and recovery codes of a user.
pub(super) fn factors(
    form: &Form,
    (id, username): &(String, String),
    (passkeys, linked): (&[Choice], &[Choice]),
    codes_left: usize,
) -> String {
    let mut html = String::new();
    if let Some(complaint) = &form.complaint {
        html.push_str(&format!("<p class=\"complaint\" role=\"alert\">{}</p>", escape(complaint)));
    }
    let plain = Form { complaint: None, ..form.clone() };
    html.push_str("<h2>Passkeys</h2>");
    if passkeys.is_empty() {
        html.push_str(
            "<p>You have none. A passkey is a fingerprint, a face or a key in place of the code.</p>",
        );
    } else {
        html.push_str(&removable(&plain, passkeys, ("remove", "Remove")));
    }
    let data = format!(" data-user=\"{}\" data-username=\"{}\" ", escape(id), escape(username));
    let name = "<label for=\"name\">Name of a new passkey</label>\
                <input type=\"text\" id=\"name\" name=\"name\" maxlength=\"60\" autocomplete=\"off\">";
    let add = passkey(&plain, "factors", "", name, "Add a passkey");
    html.push_str(&add.replacen("<form hidden ", &format!("<form hidden{data}"), 1));
    html.push_str("<noscript><p class=\"faint\">To add one, allow scripts for this page.</p></noscript>");
    if !linked.is_empty() {
        html.push_str("<h2>Other sign-ins</h2>");
        html.push_str(&removable(&plain, linked, ("unlink", "Unlink")));
    }
    html.push_str(&format!(
        "<h2>Recovery codes</h2><p>{codes_left} have not been used. New ones take the place of all others.</p>{}\
         <div class=\"buttons\"><button class=\"quiet\" name=\"recovery\" value=\"new\">New recovery codes</button></div>\
         </form><p class=\"more\"><a href=\"/auth/manage\">Your apps</a> · <a href=\"/auth/logout\">Log out</a></p>",
        open("factors", &plain, ""),
    ));
    html
}

pub(super) fn enrolment(form: &Form, secret: &str, picture: &str) -> String {
    // The picture is ours: an SVG of squares, in which no value is text.
    let picture = picture.find("<svg").and_then(|start| picture.get(start..)).unwrap_or_default();
    format!(
        "<p>Your account needs a second factor. Read this with an authenticator app, then enter the code that it \
         shows.</p><div class=\"picture\" role=\"img\" aria-label=\"QR code of the secret below\">{picture}</div>\
         <p class=\"faint\">Or type the secret: <code>{}</code></p>{}{}\
         <div class=\"buttons\"><button>Set up</button>{}</div></form>",
        escape(secret),
        open("flow", form, "enrolment"),
        code_field(),
        cancel(),
    )
}

pub(super) fn recovery_codes(form: &Form, codes: &[String]) -> String {
    let codes: String = codes.iter().map(|code| format!("<li>{}</li>", escape(code))).collect();
    let (onward, flow) = match form.flow.as_str() {
        "" => ("/auth/factors", String::new()),
        flow => ("/auth/flow", hidden("flow", flow)),
    };
    format!(
        "<p>Each of these lets you in once when your authenticator app is lost. They are shown only now: print \
         them, or write them down.</p><ol class=\"codes\">{codes}</ol>\
         <form method=\"get\" action=\"{onward}\">{flow}<div class=\"buttons\"><button>I have kept them</button></div>\
         </form>"
    )
}

pub(super) fn patients(form: &Form, found: Option<&[Choice]>) -> String {
    let mut html = open("flow", form, "patient");
    html.push_str(
        "<label for=\"name\">Name</label><input type=\"text\" id=\"name\" name=\"name\" autocomplete=\"off\">\
         <label for=\"birthdate\">Birth date</label>\
         <input type=\"date\" id=\"birthdate\" name=\"birthdate\" autocomplete=\"off\">\
         <div class=\"buttons\"><button>Search</button>",
    );
    html.push_str(cancel());
    html.push_str("</div></form>");
    match found {
        None => {}
        Some([]) => html.push_str("<p role=\"status\">Nobody was found.</p>"),
        Some(found) => {
            html.push_str(&choose(form, ("patient", "patient", "Patients that were found"), found))
        }
    }
    html
}

pub(super) fn encounters(form: &Form, found: &[Choice]) -> String {
    let none = Choice { value: String::new(), label: "No visit in particular".into(), detail: String::new() };
    let mut html = String::new();
    if let Some(complaint) = &form.complaint {
        html.push_str(&format!("<p class=\"complaint\" role=\"alert\">{}</p>", escape(complaint)));
    }
    let plain = Form { complaint: None, ..form.clone() };
    let all: Vec<&Choice> = std::iter::once(&none).chain(found).collect();
    html.push_str(&radios(&plain, ("encounter", "encounter", "Visits of the patient"), &all));
    html
}

fn choose(form: &Form, names: (&str, &str, &str), found: &[Choice]) -> String {
    let plain = Form { complaint: None, ..form.clone() };
    radios(&plain, names, &found.iter().collect::<Vec<_>>())
}

fn radios(form: &Form, (step, field, legend): (&str, &str, &str), choices: &[&Choice]) -> String {
    let mut html = open("flow", form, step);
    html.push_str(&format!("<fieldset><legend class=\"sr\">{legend}</legend><ul class=\"choices\">"));
    for (place, choice) in choices.iter().enumerate() {
        html.push_str(&format!(
            "<li><input type=\"radio\" name=\"{field}\" id=\"c{place}\" value=\"{}\" required>\
             <label for=\"c{place}\">{}<br><span class=\"faint\">{}</span></label></li>",
            escape(&choice.value),
            escape(&choice.label),
            escape(&choice.detail),
        ));
    }
    html.push_str("</ul></fieldset><div class=\"buttons\"><button>Choose</button></div></form>");
    html
}

fn code_field() -> &'static str {
    "<label for=\"otp\">Code</label>\
     <input type=\"text\" id=\"otp\" name=\"otp\" autocomplete=\"one-time-code\" required autofocus>"
}

/// Going back sends no field that is required.
fn cancel() -> &'static str {
    "<button class=\"quiet\" name=\"decision\" value=\"cancel\" formnovalidate>Cancel</button>"
}
