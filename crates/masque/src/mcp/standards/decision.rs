//! Having a proposal decided by the person at the client.
//!
//! A form is shown only where its answer counts: on this machine, where the user's settings say so, to a client that can
//! show forms. Everybody else is told the command. The use case checks all of this again.

use std::fmt::Write as _;

use masque_app::standards::{Decide, Review, Verdict};
use masque_types::{
    actor::{Channel, Reach},
    digest::Digest,
    id::ProposalId,
    standard::ProposalStatus,
};
use rmcp::model::{CallToolRequestParams, CallToolResult, ElicitationSchema, EnumSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    super::{
        feature::Asked,
        form::{Filled, Form, Forms},
        tool::{arguments, refused, told},
    },
    Standards,
    tools::{self, Outcome},
    view::{Proposed, line},
};

/// How much of a difference a form shows: longer ones are clipped by clients, and what nobody saw nobody can approve.
const LONGEST_DIFF: usize = 6_000;

/// What a decision is about: what the person saw, not what is there when the answer comes.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    proposal: ProposalId,
    digest: Digest,
}

impl Standards {
    pub(super) async fn decide(&self, asked: &Asked, call: CallToolRequestParams) -> Outcome {
        let tools::Decide { proposal_id } = arguments(call.arguments.clone())?;
        let proposal = self.app.find_proposal(&proposal_id).await.map_err(|error| self.failed(asked, &error))?;
        if proposal.status != ProposalStatus::Draft {
            return Ok(told(&Proposed::decided(&proposal)).into());
        }
        let review = self.app.review_proposal(proposal.id).await.map_err(|error| self.failed(asked, &error))?;
        if let Some(why) = self.no_form(asked, &review) {
            let message = format!("{why}. Show the person the diff and this command: {}", review.decide_with);
            return Ok(told(&Proposed::waiting(&review, message)).into());
        }
        let form = form(&review).ok_or_else(|| refused("the form cannot be made"))?;
        match self.forms.show(asked, &call, form).await {
            Filled::Asked(required) => Ok((*required).into()),
            Filled::Accepted { fields, about } => self.accepted(asked, &fields, about).await,
            Filled::NotAccepted => Ok(still_open(&review, "nobody decided")),
            Filled::Foreign => Ok(still_open(&review, "the answer is not one to a form that is open")),
        }
    }

    /// Why no form is shown.
    fn no_form(&self, asked: &Asked, review: &Review) -> Option<&'static str> {
        if asked.caller.reach != Reach::Local {
            Some("only a person on the server's machine decides")
        } else if self.app.settings.text("standards.decide") != "elicitation" {
            Some("a person decides with a command: an answer to a form is no proof of a person")
        } else if !Forms::can_show(asked) {
            Some("the client shows no forms")
        } else if review.diff.len() > LONGEST_DIFF {
            Some("the change is too long for a form")
        } else {
            None
        }
    }

    async fn accepted(&self, asked: &Asked, fields: &Map<String, Value>, about: Value) -> Outcome {
        let about: About = serde_json::from_value(about).map_err(|_| refused("the form was about something else"))?;
        let verdict = match fields.get("decision").and_then(Value::as_str) {
            Some("approve") => Verdict::Approve,
            Some("reject") => Verdict::Reject,
            _ => return Err(refused("the form was accepted without a decision: nothing is written")),
        };
        let feedback = fields.get("feedback").and_then(Value::as_str).map(str::trim);
        let feedback = feedback.filter(|text| !text.is_empty()).map(str::to_owned);
        let decide = Decide { proposal: about.proposal, digest: about.digest, verdict, feedback };
        let decided = self.app.decide_proposal(&asked.caller, Channel::Elicitation, decide).await;
        Ok(told(&Proposed::decided(&decided.map_err(|error| self.failed(asked, &error))?)).into())
    }
}

fn still_open(review: &Review, why: &str) -> rmcp::model::CallToolResponse {
    let message = format!("{why}: the proposal stays open. A person decides with: {}", review.decide_with);
    let result: CallToolResult = told(&Proposed::waiting(review, message));
    result.into()
}

fn form(review: &Review) -> Option<Form> {
    let proposal = &review.proposal;
    let decision = EnumSchema::builder(vec!["approve".to_owned(), "reject".to_owned()])
        .enum_titles(vec!["Approve: write the file".to_owned(), "Reject".to_owned()])
        .ok()?
        .build();
    let schema = ElicitationSchema::builder()
        .required_enum_schema("decision", decision)
        .optional_string_with("feedback", |field| {
            field.title("Feedback").description("Whoever proposed it reads this; say what to change")
        })
        .build()
        .ok()?;
    Some(Form {
        key: format!("decide-{}-{}", proposal.id, proposal.revision),
        message: message(review),
        schema,
        about: serde_json::to_value(About { proposal: proposal.id, digest: proposal.digest }).ok()?,
    })
}

fn message(review: &Review) -> String {
    let proposal = &review.proposal;
    let mut text = format!(
        "{} proposes the standard {} ({}), revision {}, for {}:\n\n{}\n",
        proposal.proposed_by, proposal.standard, proposal.title, proposal.revision, proposal.file, review.diff
    );
    for finding in &review.findings {
        let _ = writeln!(text, "! {}", line(finding));
    }
    text
}
