//! The protocol's side of the server: who asks, which feature answers, in both eras of the protocol.
//!
//! Owns dispatch, lists, capabilities and subscriptions. Leaves out what is offered, which features say, and the
//! transports.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use masque_types::actor::Caller;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
        InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
        ServerConfig, SetLevelRequestMethod, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    changes::{Changes, Part},
    feature::{Asked, Feature},
};

/// How long a client may keep a list before it asks again, in milliseconds.
const LIST_TTL_MS: u64 = 60_000;
/// How often it is looked whether a client of the older protocol that hears of changes is still there.
const STILL_THERE: Duration = Duration::from_secs(30);

/// How requests reach the server, and with whose authority.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Over this process's own standard streams: whoever started it.
    Streams(Caller),
    /// Over HTTP: each request brings its caller, which was checked before.
    Http,
}

/// The server's life, which all connections share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// Ends when the server stops: what waits then answers with what it has.
    pub(crate) stop: CancellationToken,
    /// Requests that are being answered.
    pub(crate) running: TaskTracker,
}

/// What all connections to one address share.
pub(crate) struct Shared {
    /// What is offered, in the order of the lists.
    pub(crate) features: Vec<Arc<dyn Feature>>,
    /// What tells clients that lists and resources changed.
    pub(crate) changes: Changes,
    /// What the server tells models about itself.
    pub(crate) instructions: String,
    /// Its name, version and icons.
    pub(crate) implementation: Implementation,
    /// The server's life.
    pub(crate) life: Life,
}

/// One connection, or in the newer protocol one request.
pub(crate) struct Server {
    shared: Arc<Shared>,
    entry: Entry,
    config: ServerConfig,
    /// Who opened the session; nobody else may use it.
    owner: OnceLock<Caller>,
    /// Resources that a client of the older protocol wants to hear of.
    subscribed: Mutex<BTreeSet<String>>,
}

impl Server {
    /// A new connection.
    pub(crate) fn new(shared: Arc<Shared>, entry: Entry) -> Self {
        let mut capabilities = ServerCapabilities::default();
        for feature in &shared.features {
            feature.declare(&mut capabilities);
        }
        let config = ServerConfig::new(capabilities)
            .with_server_info(shared.implementation.clone())
            .with_instructions(shared.instructions.clone());
        Self { shared, entry, config, owner: OnceLock::new(), subscribed: Mutex::default() }
    }

    /// Establishes who asks.
    fn asked(&self, context: RequestContext<RoleServer>) -> Result<Asked, ErrorData> {
        let caller = match &self.entry {
            Entry::Streams(caller) => caller.clone(),
            Entry::Http => context
                .extensions
                .get::<axum::http::request::Parts>()
                .and_then(|parts| parts.extensions.get::<Caller>())
                .cloned()
                .ok_or_else(|| ErrorData::invalid_request("nobody is known to ask this", None))?,
        };
        if *self.owner.get_or_init(|| caller.clone()) != caller {
            return Err(ErrorData::invalid_request(
                "this session belongs to somebody else; open one of your own",
                None,
            ));
        }
        Ok(Asked { caller, context, stop: self.shared.life.stop.clone() })
    }

    /// Tells a client of the older protocol what changes, as long as it is connected.
    async fn tell_changes(&self, context: &NotificationContext<RoleServer>) {
        let mut changes = self.shared.changes.follow();
        while !context.peer.is_transport_closed() {
            let changed = tokio::select! {
                changed = changes.next() => changed,
                // Whether the client is still there is not an event.
                () = tokio::time::sleep(STILL_THERE) => continue,
                () = self.shared.life.stop.cancelled() => return,
            };
            for part in changed {
                let peer = &context.peer;
                let told = match part {
                    Part::Tools => peer.notify_tool_list_changed().await,
                    Part::Prompts => peer.notify_prompt_list_changed().await,
                    Part::Resources => peer.notify_resource_list_changed().await,
                    Part::Resource(uri) if self.is_subscribed(&uri) => {
                        peer.notify_resource_updated(rmcp::model::ResourceUpdatedNotificationParam::new(uri)).await
                    }
                    Part::Resource(_) => Ok(()),
                };
                if told.is_err() {
                    return;
                }
            }
        }
    }

    fn is_subscribed(&self, uri: &str) -> bool {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).contains(uri)
    }
}

/// Lists are whole: there is no second page, so there is no cursor that could be right.
fn first_page(request: Option<&PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor.as_ref()) {
        Some(_) => Err(ErrorData::invalid_params("`cursor`: this list has one page; ask without a cursor", None)),
        None => Ok(()),
    }
}

/// All entries of one kind, feature by feature.
macro_rules! listed {
    ($self:ident, $request:ident, $list:ident, $result:ident) => {{
        first_page($request.as_ref())?;
        let mut all = Vec::new();
        for feature in &$self.shared.features {
            all.extend(feature.$list().await?);
        }
        Ok($result::with_all_items(all).with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Private))
    }};
}

/// The first feature's answer that has what was named.
macro_rules! first {
    ($self:ident, $feature:ident => $answer:expr, $missing:expr) => {{
        let _running = $self.shared.life.running.token();
        for $feature in &$self.shared.features {
            if let Some(answer) = $answer.await? {
                return Ok(answer);
            }
        }
        Err($missing)
    }};
}

#[expect(deprecated, reason = "clients of the older protocol subscribe one resource at a time")]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.features.iter().find_map(|feature| feature.mirrored_tool(name))
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        // The session is its opener's from here on.
        self.asked(context)?;
        self.negotiate_initialize(&request)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.asked(context)?;
        listed!(self, request, tools, ListToolsResult)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = self.asked(context)?;
        let name = request.name.clone();
        first!(
            self,
            feature => feature.call(&asked, request.clone()),
            ErrorData::invalid_params(format!("there is no tool `{name}`; tools/list names all"), None)
        )
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.asked(context)?;
        listed!(self, request, prompts, ListPromptsResult)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asked = self.asked(context)?;
        let name = request.name.clone();
        first!(
            self,
            feature => feature.prompt(&asked, request.clone()),
            ErrorData::invalid_params(format!("there is no prompt `{name}`; prompts/list names all"), None)
        )
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.asked(context)?;
        listed!(self, request, resources, ListResourcesResult)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.asked(context)?;
        listed!(self, request, templates, ListResourceTemplatesResult)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let asked = self.asked(context)?;
        let uri = request.uri.clone();
        first!(
            self,
            feature => feature.read(&asked, request.clone()),
            ErrorData::resource_not_found(
                format!("there is no resource `{uri}`"),
                Some(serde_json::json!({ "uri": uri })),
            )
        )
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let asked = self.asked(context)?;
        for feature in &self.shared.features {
            if let Some(completion) = feature.complete(&asked, request.clone()).await? {
                return Ok(CompleteResult::new(completion));
            }
        }
        Err(ErrorData::invalid_params("`ref`: there is nothing of that name to complete", None))
    }

    async fn set_level(
        &self,
        request: rmcp::model::SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let asked = self.asked(context)?;
        first!(
            self,
            feature => feature.set_level(&asked, request.level),
            ErrorData::method_not_found::<SetLevelRequestMethod>()
        )
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let asked = self.asked(context)?;
        for feature in &self.shared.features {
            if let Some(task) = feature.task(&asked, &request.task_id).await? {
                return Ok(GetTaskResult::new(task));
            }
        }
        Err(no_task(&request.task_id))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let asked = self.asked(context)?;
        first!(
            self,
            feature => feature.update_task(&asked, &request.task_id, request.input_responses.clone()),
            no_task(&request.task_id)
        )
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let asked = self.asked(context)?;
        first!(self, feature => feature.cancel_task(&asked, &request.task_id), no_task(&request.task_id))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.tell_changes(&context).await;
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.asked(context)?;
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.asked(context)?;
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.follow();
        loop {
            let changed = tokio::select! {
                changed = changes.next() => changed,
                () = context.cancelled() => return Ok(()),
                () = self.shared.life.stop.cancelled() => return Ok(()),
            };
            for part in changed {
                let sink = context.sink();
                // A part that was not asked for is refused by the sink; the others still have to be told.
                let _ = match part {
                    Part::Tools => sink.notify_tool_list_changed().await,
                    Part::Prompts => sink.notify_prompt_list_changed().await,
                    Part::Resources => sink.notify_resource_list_changed().await,
                    Part::Resource(uri) => sink.notify_resource_updated(uri).await,
                };
            }
        }
    }
}

fn no_task(id: &str) -> ErrorData {
    ErrorData::invalid_params(format!("there is no task `{id}`"), None)
}
