//! [`Instance`]: one start of a service, and the cookie by which everything of it is found.

use masque_fleet::model::ServiceId;
use masque_sandbox::service::Mark;

/// The variable in which a service, and everything that it starts, has its cookie.
pub const INSTANCE_VARIABLE: &str = "MASQUE_INSTANCE";

/// One start of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    fleet: String,
    service: ServiceId,
    cookie: String,
}

impl Instance {
    /// The start of that number. `random` keeps it apart from one of the same number whose record was lost.
    #[must_use]
    pub fn new(fleet: &str, service: &ServiceId, number: u64, random: u32) -> Self {
        let cookie = format!("{fleet}/{service}/{number}-{random:08x}");
        Self { fleet: fleet.to_owned(), service: service.clone(), cookie }
    }

    /// The start that has this cookie, as it was recorded or found; none when it is another fleet's or no cookie.
    #[must_use]
    pub fn of_cookie(fleet: &str, cookie: &str) -> Option<Self> {
        let (service, _) = cookie.strip_prefix(fleet)?.strip_prefix('/')?.rsplit_once('/')?;
        let service = ServiceId::try_from(service.to_owned()).ok()?;
        Some(Self { fleet: fleet.to_owned(), service, cookie: cookie.to_owned() })
    }

    /// Its fleet.
    #[must_use]
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Its service.
    #[must_use]
    pub const fn service(&self) -> &ServiceId {
        &self.service
    }

    /// Its cookie: `FLEET/HOST/NAME/NUMBER-RANDOM`.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// What its processes carry.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { name: INSTANCE_VARIABLE.into(), value: self.cookie.clone().into() }
    }
}

#[cfg(test)]
mod tests {
    use masque_fleet::model::ServiceId;

    use super::Instance;

    #[test]
    fn a_cookie_says_whose_it_is() {
        let instance = Instance::new("fleet.a", &ServiceId::new("pc2", "agent"), 7, 0xab);
        assert_eq!(instance.cookie(), "fleet.a/pc2/agent/7-000000ab");
        assert_eq!(Instance::of_cookie("fleet.a", instance.cookie()), Some(instance));
        for (fleet, cookie) in [("fleet", "fleet.a/pc2/agent/7-ab"), ("a", "a/b/7-ab"), ("a", "a"), ("a", "")] {
            assert_eq!(Instance::of_cookie(fleet, cookie), None, "{cookie}");
        }
    }
}
