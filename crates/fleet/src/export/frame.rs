//! What every export carries besides the services: the rest of the fleet, so that it can be read again.

use crate::model::{Fleet, Service, ServiceId};

/// A fleet without its services, and their order.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Frame {
    /// Everything but the services.
    pub(crate) fleet: Fleet,
    /// The services, in the order of the fleet.
    pub(crate) order: Vec<ServiceId>,
}

impl Frame {
    fn of(fleet: &Fleet) -> Self {
        let order = fleet.services.iter().map(|service| service.id.clone()).collect();
        Self { fleet: Fleet { services: Vec::new(), ..fleet.clone() }, order }
    }
}

/// The frame of a fleet as one line of JSON.
pub(super) fn frame(fleet: &Fleet) -> String {
    json(&Frame::of(fleet))
}

/// Definitions of services as one line of JSON.
pub(super) fn definitions<'a>(services: impl IntoIterator<Item = &'a Service>) -> String {
    json(&services.into_iter().collect::<Vec<_>>())
}

/// One line of JSON. These types have only keys that are texts, so it cannot fail.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
