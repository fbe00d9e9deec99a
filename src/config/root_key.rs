//! Where the root key is, if not in a file: in a setting, a security module, or a key service.

use super::{file_complaint, secret};
use clap::Args;
use secrecy::SecretString;
use std::path::PathBuf;

/// The places of a root key beside a file. One place is named, or the server does not start.
#[derive(Args, Clone, Debug, Default)]
pub struct RootKeyPlace {
    /// The root key itself: 32 bytes in base64, and after a comma those before it. For what injects secrets
    /// into the environment
    #[arg(
        long = "root-key-value",
        env = "VESTA_ROOT_KEY",
        value_parser = secret,
        hide_env_values = true,
        hide = true,
        global = true
    )]
    pub value: Option<SecretString>,

    /// The PKCS#11 library of a hardware security module that keeps the root key
    #[arg(long, env = "VESTA_PKCS11_MODULE", value_name = "FILE", global = true)]
    pub pkcs11_module: Option<PathBuf>,

    /// The label of its token
    #[arg(long, env = "VESTA_PKCS11_TOKEN", value_name = "LABEL", global = true)]
    pub pkcs11_token: Option<String>,

    /// The file of its user PIN, readable by nobody else
    #[arg(long, env = "VESTA_PKCS11_PIN_FILE", value_name = "FILE", global = true)]
    pub pkcs11_pin_file: Option<PathBuf>,

    /// The key service that keeps the root key, as Vault's transit engine does: https://host:port
    #[arg(long, env = "VESTA_TRANSIT_URL", value_name = "URL", global = true)]
    pub transit_url: Option<String>,

    /// The file of its token, readable by nobody else; read again for every request
    #[arg(long, env = "VESTA_TRANSIT_TOKEN_FILE", value_name = "FILE", global = true)]
    pub transit_token_file: Option<PathBuf>,

    /// The authorities that may have signed its certificate, as PEM
    #[arg(long, env = "VESTA_TRANSIT_AUTHORITIES", value_name = "FILE", global = true)]
    pub transit_authorities: Option<PathBuf>,

    /// Where its transit engine is mounted
    #[arg(long, env = "VESTA_TRANSIT_MOUNT", default_value = "transit", value_name = "PATH", global = true)]
    pub transit_mount: String,

    /// The name of the root key in the module or the key service
    #[arg(
        long,
        env = "VESTA_ROOT_KEY_NAME",
        default_value = "vesta-root",
        value_name = "NAME",
        global = true
    )]
    pub root_key_name: String,
}

impl RootKeyPlace {
    /// What is wrong with it: beside a file, or without one.
    pub(super) fn complaints(&self, file: Option<&PathBuf>) -> Vec<String> {
        let mut complaints = Vec::new();
        let places = [
            ("VESTA_ROOT_KEY_FILE", file.is_some()),
            ("VESTA_ROOT_KEY", self.value.is_some()),
            ("VESTA_PKCS11_MODULE", self.pkcs11_module.is_some()),
            ("VESTA_TRANSIT_URL", self.transit_url.is_some()),
        ];
        let named: Vec<&str> = places.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        match named.as_slice() {
            [] => {
                complaints.push("VESTA_ROOT_KEY_FILE is missing, or another place of the root key".to_owned())
            }
            [_] => {}
            several => {
                complaints.push(format!("the root key is in one place, not in {}", several.join(" and ")))
            }
        }
        for (is_needed, variable, is_set) in [
            (self.pkcs11_module.is_some(), "VESTA_PKCS11_TOKEN", self.pkcs11_token.is_some()),
            (self.pkcs11_module.is_some(), "VESTA_PKCS11_PIN_FILE", self.pkcs11_pin_file.is_some()),
            (self.transit_url.is_some(), "VESTA_TRANSIT_TOKEN_FILE", self.transit_token_file.is_some()),
        ] {
            if is_needed && !is_set {
                complaints.push(format!("{variable} is missing"));
            }
        }
        for (variable, file) in [
            ("VESTA_PKCS11_PIN_FILE", &self.pkcs11_pin_file),
            ("VESTA_TRANSIT_TOKEN_FILE", &self.transit_token_file),
        ] {
            complaints.extend(file.as_ref().and_then(|it| file_complaint(variable, it, true)));
        }
        if self.transit_url.as_ref().is_some_and(|it| !it.starts_with("https://")) {
            complaints.push("VESTA_TRANSIT_URL must be https://".to_owned());
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_key_is_in_one_place_and_that_is_whole() {
        let file = PathBuf::from("root.key");
        let none = RootKeyPlace::default();
        assert_eq!(none.complaints(Some(&file)), Vec::<String>::new());
        assert_eq!(none.complaints(None).len(), 1);
        let module = RootKeyPlace { pkcs11_module: Some("m.so".into()), ..none.clone() };
        assert_eq!(module.complaints(None).len(), 2);
        assert_eq!(module.complaints(Some(&file)).len(), 3);
        let service = RootKeyPlace { transit_url: Some("http://vault".into()), ..none };
        assert_eq!(service.complaints(None).len(), 2);
    }
}
