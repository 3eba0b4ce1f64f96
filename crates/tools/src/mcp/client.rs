//! What Masque is to a server: who it says that it is, and what it answers when the server asks something.

use masque_types::persona::Forms;
use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        Implementation,
    },
    service::RequestContext,
};
use serde_json::{Map, Value, json};

/// One server's client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    forms: Forms,
}

impl Client {
    pub(super) const fn new(forms: Forms) -> Self {
        Self { forms }
    }
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.forms {
            Forms::Decline => ClientCapabilities::default(),
            Forms::Defaults => ClientCapabilities::builder().enable_elicitation().build(),
        };
        ClientConfig::new(capabilities, Implementation::new("masque", env!("CARGO_PKG_VERSION")))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(answer(self.forms, &request))
    }
}

/// The answer to a form, or to an address that somebody should open: nobody sits there.
pub(super) fn answer(forms: Forms, request: &ElicitRequestParams) -> ElicitResult {
    let content = match (forms, request) {
        (Forms::Defaults, ElicitRequestParams::FormElicitationParams { requested_schema, .. }) => {
            defaults(requested_schema)
        }
        _ => None,
    };
    match content {
        Some(content) => ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)),
        None => ElicitResult::new(ElicitationAction::Decline),
    }
}

/// The default of each field that has one; none when a required field has none.
fn defaults(form: &ElicitationSchema) -> Option<Map<String, Value>> {
    let form = serde_json::to_value(form).ok()?;
    let fields = form.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let content: Map<String, Value> =
        fields.iter().filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone()))).collect();
    let required = form.get("required").cloned().unwrap_or_else(|| json!([]));
    let is_complete =
        required.as_array()?.iter().all(|name| name.as_str().is_some_and(|name| content.contains_key(name)));
    is_complete.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(schema: Value) -> ElicitRequestParams {
        let requested_schema = serde_json::from_value(schema).unwrap();
        ElicitRequestParams::FormElicitationParams { meta: None, message: "?".into(), requested_schema }
    }

    #[test]
    fn a_form_is_declined_unless_the_file_says_otherwise_and_its_defaults_are_enough() {
        let name = json!({ "type": "string", "default": "Ada" });
        let whole = form(json!({ "type": "object", "properties": { "name": name }, "required": ["name"] }));
        assert_eq!(answer(Forms::Decline, &whole).action, ElicitationAction::Decline);
        let accepted = answer(Forms::Defaults, &whole);
        assert_eq!((accepted.action, accepted.content), (ElicitationAction::Accept, Some(json!({ "name": "Ada" }))));
        let open = json!({ "type": "object", "properties": { "key": { "type": "string" } }, "required": ["key"] });
        assert_eq!(answer(Forms::Defaults, &form(open)).action, ElicitationAction::Decline);
    }
}
