//! What a browser is shown or sent to: values, which the edge writes as HTML.

use secrecy::SecretString;

/// An answer to a browser.
pub struct Reply {
    /// What it shows, or where it goes.
    pub body: Body,
    /// What becomes of its cookie.
    pub cookie: Cookie,
}

/// What a browser shows, or where it goes.
pub enum Body {
    /// A page.
    Page(Box<Page>),
    /// Another address.
    Redirect(String),
}

/// What becomes of the session's cookie.
pub enum Cookie {
    /// It stays.
    Keep,
    /// It is this from now on.
    Set(SecretString),
    /// It goes.
    Clear,
}

/// The pages. All forms hold `csrf`, and those of a flow `flow` and `step`.
pub enum Page {
    /// User name and password.
    SignIn(Form),
    /// The code of the second factor, or a recovery code.
    SecondFactor(Form),
    /// The secret for an authenticator app, and a first code of it.
    Enrolment {
        /// The form.
        form: Form,
        /// The secret, base32.
        secret: String,
        /// The same as a picture, SVG.
        picture: String,
    },
    /// The recovery codes, once.
    RecoveryCodes {
        /// The form that goes on.
        form: Form,
        /// The codes.
        codes: Vec<String>,
    },
    /// Whose record.
    PatientPicker {
        /// The form.
        form: Form,
        /// The patients that were found; nothing before anybody looked.
        found: Option<Vec<Choice>>,
    },
    /// Which visit.
    EncounterPicker {
        /// The form.
        form: Form,
        /// The visits of the patient.
        found: Vec<Choice>,
    },
    /// What the app may do.
    Consent {
        /// The form.
        form: Form,
        /// The patient in context.
        patient: Option<String>,
        /// What is asked for.
        scopes: Vec<ScopeChoice>,
        /// Whether the answer may be remembered.
        may_remember: bool,
    },
    /// The apps that a user has let in.
    Grants {
        /// The form.
        form: Form,
        /// The apps.
        grants: Vec<Choice>,
        /// Those whose question is answered as it was before.
        remembered: Vec<Choice>,
    },
    /// How a user signs in.
    Factors {
        /// The form.
        form: Form,
        /// The id and the name of the user.
        user: (String, String),
        /// The passkeys.
        passkeys: Vec<Choice>,
        /// The providers of identities that the account is linked to.
        linked: Vec<Choice>,
        /// How many recovery codes have not been used.
        codes_left: usize,
    },
    /// Whether to log out.
    LogOut {
        /// The form.
        form: Form,
        /// What the form hands on.
        hidden: Vec<(&'static str, String)>,
    },
    /// Something was done, or there is nothing to do.
    Notice {
        /// In one line.
        title: &'static str,
        /// In a sentence.
        text: String,
    },
    /// What went wrong, shown here because there is nowhere safe to go.
    Error {
        /// The code.
        code: &'static str,
        /// What to do.
        text: String,
        /// The seconds to wait.
        retry_after_seconds: Option<i64>,
    },
}

/// What every form has.
#[derive(Clone, Default)]
pub struct Form {
    /// The hidden name of the flow; empty outside one.
    pub flow: String,
    /// The proof that the form is ours.
    pub csrf: String,
    /// The app that asks; empty outside a flow.
    pub client: String,
    /// What was wrong with the last try.
    pub complaint: Option<String>,
    /// Where the browser goes in the end, as CSP writes it: an origin, or a scheme.
    pub onward: String,
    /// The providers that users may come from, where somebody signs in.
    pub providers: Vec<Choice>,
    /// What an authenticator may sign.
    pub question: Option<Question>,
    /// Whether that was for the limit of tries: the seconds to wait.
    pub retry_after_seconds: Option<i64>,
}

/// What an authenticator is asked to sign.
#[derive(Clone, Default)]
pub struct Question {
    /// The challenge, base64url.
    pub challenge: String,
    /// The id of the relying party.
    pub party: String,
    /// The ids of the passkeys of the user.
    pub passkeys: Vec<String>,
}

/// Something to choose.
#[derive(Clone)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// What else is read.
    pub detail: String,
}

/// A scope to tick.
pub struct ScopeChoice {
    /// The `id` of the checkbox.
    pub id: String,
    /// The scope.
    pub scope: String,
    /// What it means.
    pub label: String,
    /// Whether it is one of the finer choices, not ticked at first.
    pub is_finer: bool,
}

impl Page {
    /// Its form, where it has one.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        match self {
            Page::SignIn(form) | Page::SecondFactor(form) => Some(form),
            Page::Enrolment { form, .. }
            | Page::RecoveryCodes { form, .. }
            | Page::PatientPicker { form, .. }
            | Page::EncounterPicker { form, .. }
            | Page::Consent { form, .. }
            | Page::Grants { form, .. }
            | Page::Factors { form, .. }
            | Page::LogOut { form, .. } => Some(form),
            Page::Notice { .. } | Page::Error { .. } => None,
        }
    }
}

impl Reply {
    /// A page.
    #[must_use]
    pub fn page(page: Page) -> Reply {
        Reply { body: Body::Page(Box::new(page)), cookie: Cookie::Keep }
    }

    /// Somewhere else.
    #[must_use]
    pub fn redirect(url: impl Into<String>) -> Reply {
        Reply { body: Body::Redirect(url.into()), cookie: Cookie::Keep }
    }

    /// The same, and the browser is told its cookie where that is new.
    #[must_use]
    pub fn with(self, browser: &crate::smart::session::Browser) -> Reply {
        let cookie = if browser.is_new { Cookie::Set(browser.cookie.clone()) } else { self.cookie };
        Reply { body: self.body, cookie }
    }
}
