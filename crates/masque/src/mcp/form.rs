//! Asking the person at the client by a form, in both eras of the protocol.
//!
//! The older protocol asks while the call runs; the newer one answers with the form, and the client calls again with what
//! was filled in. What was shown is sealed into that answer, so that another form cannot be answered with it. Leaves out
//! whether an answer counts: clients answer forms by hooks and settings too.

use std::{collections::BTreeMap, time::Duration};

use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, RequestStateCodec, SealOptions,
};
use serde_json::{Map, Value};

use super::feature::Asked;

/// How long a form may stay open.
const OPEN: Duration = Duration::from_secs(15 * 60);
/// Length of the key that seals what was shown.
const KEY_BYTES: usize = 32;

/// A form.
pub(crate) struct Form {
    /// Names it within the call.
    pub(crate) key: String,
    /// What the person reads.
    pub(crate) message: String,
    /// Its fields.
    pub(crate) schema: ElicitationSchema,
    /// What it is about: comes back with the answer, unchanged.
    pub(crate) about: Value,
}

/// What came of a form.
pub(crate) enum Filled {
    /// The person accepted; `about` is that of the form that was shown.
    Accepted {
        /// The fields.
        fields: Map<String, Value>,
        /// What the form was about.
        about: Value,
    },
    /// The person declined, closed the form, or did not look at it in time; or a client did so on its own.
    NotAccepted,
    /// The client has to show the form and call again.
    Asked(Box<InputRequiredResult>),
    /// The answer does not belong to a form of this server that is still open.
    Foreign,
}

/// Shows forms and takes their answers.
pub(crate) struct Forms {
    seal: RequestStateCodec,
}

impl Forms {
    /// With a key that ends with this process: an answer to a form of an earlier one is asked again.
    pub(crate) fn new() -> Self {
        let key: [u8; KEY_BYTES] = rand::random();
        Self { seal: RequestStateCodec::new_unchecked(key.to_vec()) }
    }

    /// Whether the client shows forms.
    pub(crate) fn can_show(asked: &Asked) -> bool {
        let elicitation = asked.client().elicitation;
        // Neither kind said means forms: that is how the capability began.
        elicitation.is_some_and(|can| can.form.is_some() || can.url.is_none())
    }

    /// Shows a form, or takes what was filled in since.
    pub(crate) async fn show(&self, asked: &Asked, call: &CallToolRequestParams, form: Form) -> Filled {
        if !asked.is_modern() {
            return shown_during_the_call(asked, form).await;
        }
        let bound = bound_to(asked, call);
        if let (Some(answers), Some(state)) = (&call.input_responses, &call.request_state) {
            let Some(answer) = answers.get(&form.key) else { return Filled::Foreign };
            let Ok(about) = self.seal.open_json_with::<Value>(state, bound.as_bytes()) else { return Filled::Foreign };
            return filled(serde_json::from_value(answer.clone()).ok(), about);
        }
        let options = SealOptions::new().associated_data(bound.as_bytes()).ttl(OPEN);
        let Ok(state) = self.seal.seal_json_with(&form.about, &options) else { return Filled::Foreign };
        let request = InputRequest::Elicitation(ElicitRequest::new(parameters(form.message, form.schema)));
        let requests = BTreeMap::from([(form.key, request)]);
        Filled::Asked(Box::new(InputRequiredResult::new(Some(requests), Some(state))))
    }
}

/// An answer is taken from whom the form was shown to, for the call that it was shown for.
fn bound_to(asked: &Asked, call: &CallToolRequestParams) -> String {
    let arguments = call.arguments.clone().map(Value::Object).unwrap_or_default();
    format!("{}|{}|{arguments}", asked.caller.actor, call.name)
}

pub(crate) fn parameters(message: String, schema: ElicitationSchema) -> ElicitRequestParams {
    ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema: schema }
}

async fn shown_during_the_call(asked: &Asked, form: Form) -> Filled {
    let asking = asked.context.peer.create_elicitation_with_timeout(parameters(form.message, form.schema), Some(OPEN));
    let answer = tokio::select! {
        answer = asking => answer.ok(),
        () = asked.given_up() => None,
    };
    filled(answer, form.about)
}

fn filled(answer: Option<ElicitResult>, about: Value) -> Filled {
    match answer {
        Some(ElicitResult { action: ElicitationAction::Accept, content: Some(Value::Object(fields)), .. }) => {
            Filled::Accepted { fields, about }
        }
        _ => Filled::NotAccepted,
    }
}
