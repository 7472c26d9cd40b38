//! The order in which middlewares and processors get a message.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tonic::{Code, Request, Response, Status, async_trait};
use trunkline_rpc::{MOST_REQUEST, RpcChannel};
use trunkline_wire::processor::processor_client::ProcessorClient;
use trunkline_wire::processor::processor_server::Processor;
use trunkline_wire::processor::{MessageRequest, MessageResponse};
use trunkline_wire::sipmessage::ResponseType;

use super::json::Lazy;
use super::matcher::Matcher;
use super::script::Scripts;
use crate::message::{message_of, method_name, response_type};

/// What a dispatcher does.
pub struct DispatcherRules {
    /// In their order.
    pub middlewares: Vec<Middleware>,
    /// In their order: the first that matches gets the message.
    pub processors: Vec<ProcessorRule>,
    /// How long each of them may take.
    pub patience: Duration,
}

/// A middleware.
pub struct Middleware {
    /// Its name in errors.
    pub name: String,
    /// The connection to it.
    pub channel: RpcChannel,
    /// Does it get the messages after the processor?
    pub after: bool,
}

/// A processor.
pub struct ProcessorRule {
    /// Its name in errors.
    pub name: String,
    /// The connection to it.
    pub channel: RpcChannel,
    /// The methods it wants.
    pub methods: Vec<String>,
    /// Which messages of these it wants: a JavaScript function.
    pub match_func: String,
}

/// Sends messages on.
#[derive(Clone)]
pub struct DispatcherService(Arc<Dispatching>);

struct Dispatching {
    middlewares: Vec<Middleware>,
    processors: Vec<(ProcessorRule, Matcher)>,
    scripts: Scripts,
    patience: Duration,
    /// What fails at present, each of it reported once: messages of strangers must not fill the log.
    failing: Mutex<BTreeSet<String>>,
}

/// What is called: for errors.
#[derive(Clone, Copy)]
enum Called {
    Middleware,
    Processor,
}

impl Called {
    fn word(self) -> &'static str {
        match self {
            Called::Middleware => "middleware",
            Called::Processor => "processor",
        }
    }
}

impl DispatcherService {
    /// Does what the rules say; an error names the processor whose `matchFunc` cannot be used.
    pub fn new(rules: DispatcherRules) -> Result<DispatcherService, String> {
        let DispatcherRules { middlewares, processors, patience } = rules;
        let sources: Vec<String> = processors.iter().map(|rule| rule.match_func.clone()).collect();
        let mut matchers = Vec::with_capacity(processors.len());
        for (n, rule) in processors.iter().enumerate() {
            let matcher =
                Matcher::new(n, &rule.match_func).map_err(|why| format!("processor {}: {why}", rule.name))?;
            matchers.push(matcher);
        }
        let scripts =
            Scripts::start(sources).map_err(|error| format!("no threads for matchFunc: {error}"))?;
        let processors = processors.into_iter().zip(matchers).collect();
        let failing = Mutex::default();
        Ok(DispatcherService(Arc::new(Dispatching { middlewares, processors, scripts, patience, failing })))
    }
}

impl Dispatching {
    async fn dispatch(&self, mut request: MessageRequest) -> Result<MessageResponse, Status> {
        let came = response_type(message_of(&request)?);
        if came.is_some_and(|kind| !matches!(kind, ResponseType::Ok | ResponseType::Ringing)) {
            return self.process(request).await;
        }
        for middleware in self.middlewares.iter().filter(|one| !one.after) {
            let answer =
                self.call(Called::Middleware, &middleware.name, &middleware.channel, request.clone()).await?;
            let is_response = answer.message.as_ref().and_then(response_type).is_some();
            if is_response && came.is_none() {
                return Ok(answer);
            }
            request.message = answer.message;
            if is_response {
                break;
            }
        }
        if self.middlewares.iter().all(|one| !one.after) {
            return self.process(request).await;
        }
        let mut result = self.process(request.clone()).await?;
        request.sender = result.sender.clone().or(request.sender);
        request.metadata.clone_from(&result.metadata);
        for middleware in self.middlewares.iter().filter(|one| one.after) {
            request.message = result.message.take();
            result.message = self
                .call(Called::Middleware, &middleware.name, &middleware.channel, request.clone())
                .await?
                .message;
        }
        Ok(result)
    }

    /// The answer of the first processor that wants the message.
    async fn process(&self, request: MessageRequest) -> Result<MessageResponse, Status> {
        let Some(rule) = self.wanting(&request).await? else {
            let message =
                format!("not matching processor found for request ref: {}", shortened(&request.r#ref));
            return Err(Status::not_found(message));
        };
        self.call(Called::Processor, &rule.name, &rule.channel, request).await
    }

    /// The first processor that wants the message.
    async fn wanting(&self, request: &MessageRequest) -> Result<Option<&ProcessorRule>, Status> {
        let (method, json) = (method_name(request), Lazy::new(request));
        let of_method = |rule: &ProcessorRule| rule.methods.iter().any(|one| one == method);
        for (rule, matcher) in self.processors.iter().filter(|(rule, _)| of_method(rule)) {
            let wants = matcher.matches(&json, &self.scripts).await.map_err(|why| {
                let what = format!("matchFunc of processor ref = {}", rule.name);
                self.fails(&what, &why);
                Status::internal(format!("{what}: {why}"))
            })?;
            if wants {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    async fn call(
        &self,
        called: Called,
        name: &str,
        channel: &RpcChannel,
        request: MessageRequest,
    ) -> Result<MessageResponse, Status> {
        let mut client = ProcessorClient::with_origin(channel.clone(), channel.origin())
            .max_decoding_message_size(MOST_REQUEST)
            .max_encoding_message_size(MOST_REQUEST);
        let mut outgoing = Request::new(request);
        outgoing.set_timeout(self.patience);
        let what = format!("{} ref = {name}", called.word());
        match channel.within(self.patience, client.process_message(outgoing)).await {
            Ok(answer) if answer.get_ref().message.is_some() => {
                self.works(&what);
                Ok(answer.into_inner())
            }
            Ok(_) => Err(Status::internal(format!("{what} gave no message"))),
            Err(status) => {
                self.fails(&what, status.message());
                Err(match status.code() {
                    Code::Unavailable => Status::unavailable(format!("{what} is unavailable")),
                    code => Status::new(code, format!("{what}: {}", shortened(status.message()))),
                })
            }
        }
    }

    fn fails(&self, what: &str, why: &str) {
        if self.failing.lock().insert(what.to_owned()) {
            tracing::warn!(why, "{what} fails");
        }
    }

    fn works(&self, what: &str) {
        if self.failing.lock().remove(what) {
            tracing::info!("{what} works again");
        }
    }
}

/// Text of others, for an error.
fn shortened(text: &str) -> String {
    text.chars().take(1_000).collect()
}

#[async_trait]
impl Processor for DispatcherService {
    async fn process_message(
        &self,
        request: Request<MessageRequest>,
    ) -> Result<Response<MessageResponse>, Status> {
        Ok(Response::new(self.0.dispatch(request.into_inner()).await?))
    }
}
