//! The key by which supervisors of other hosts know this machine's.

use masque_home::identity::KeyPair;
use masque_supervisor::link::print_host_key;
use masque_types::actor::Actor;
use serde_json::json;

use crate::{App, Error, audit, home, host::Host};

impl App {
    /// The public key of this machine as a host of fleets, as manifests hold it.
    ///
    /// # Errors
    /// When there is none yet, or its file cannot be unsealed.
    pub fn host_key(&self) -> Result<String, Error> {
        let key = home::open(&self.host)?.identities().host_key()?;
        let none = || Error::usage("this machine has no key yet").hint("make it: masque fleet key new");
        key.map(|key| print_host_key(&key.public())).ok_or_else(none)
    }

    /// Makes the key of this machine, or replaces it when `renew` says so.
    ///
    /// # Errors
    /// When there is one and it is not to be replaced, or its file cannot be written.
    pub async fn make_host_key(&self, actor: &Actor, renew: bool) -> Result<String, Error> {
        let homes = home::open(&self.host)?;
        let key = if renew {
            homes.identities().renew_host_key()?
        } else {
            let (key, is_new) = homes.identities().ensure_host_key()?;
            if !is_new {
                return Err(Error::refused("this machine has a key already").hint(
                    "`masque fleet key show` prints it; `--replace` makes another one, which manifests then have to name",
                ));
            }
            key
        };
        let public = print_host_key(&key.public());
        let entry = audit::entry(self.now(), actor, "fleet.key", None, &public, json!({ "replaced": renew }));
        self.store.audit(entry).await?;
        Ok(public)
    }
}

/// The key of this machine.
///
/// # Errors
/// When there is none yet, or its file cannot be unsealed.
pub(super) fn own(host: &Host, name: &str) -> Result<KeyPair, Error> {
    let none = || {
        Error::environment("the manifest links hosts, and this machine has no key")
            .hint(format!("make it with `masque fleet key new`, and put what it prints into `hosts.{name}.key`"))
    };
    home::open(host)?.identities().host_key()?.ok_or_else(none)
}
