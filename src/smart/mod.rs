//! The authorization server, OAuth 2.0 and SMART App Launch, and the tokens it gives out.

pub mod access_token;
