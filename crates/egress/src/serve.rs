//! What happens with a connection: which checks it needs, then on to its host.

use tokio::net::TcpStream;

use crate::{
    Refusal,
    context::{Context, broken},
    dial::dial,
    dns, greeting,
    http::{self, Exchange},
    intercept,
    meter::Meter,
    program::Program,
    relay::relay,
    rules::Host,
    watch::Watch,
};

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// A listed host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Destination {
    pub(crate) fn text(&self) -> String {
        format!("{}:{}", self.host.text(), self.port)
    }
}

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The broker's own name server.
    Dns,
    Host(Destination),
}

impl Target {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Dns => "DNS".to_owned(),
            Self::Host(destination) => destination.text(),
        }
    }
}

/// Serves a connection to its end; whether both sides ended it as they should.
pub(crate) async fn serve(context: &Context, target: Target, program: &mut Program) -> bool {
    let destination = match target {
        Target::Dns => {
            let gone = program.gone.clone();
            return tokio::select! {
                result = dns::serve(context, program) => result.is_ok(),
                () = gone.cancelled() => false,
            };
        }
        Target::Host(destination) => destination,
    };
    let meter = Meter::new(context, &destination);
    let gone = program.gone.clone();
    let result = tokio::select! {
        biased;
        result = Box::pin(connect(context, &destination, program, &meter)) => result,
        () = gone.cancelled() => Err(Refusal::Broken("the program broke it".to_owned())),
    };
    match result {
        Ok(()) => true,
        Err(Refusal::Broken(_)) => false,
        Err(why) => {
            context.observer.refuse(destination.text(), why);
            false
        }
    }
}

async fn connect(
    context: &Context,
    destination: &Destination,
    program: &mut Program,
    meter: &Meter<'_>,
) -> Result<(), Refusal> {
    if let Host::Name(name) = &destination.host
        && context.secrets.are_bound(name, destination.port)
    {
        program.accept();
        return intercept::serve(context, destination, name, program, meter).await;
    }
    match destination.port {
        HTTPS_PORT => tls(context, destination, program, meter).await,
        HTTP_PORT => {
            program.accept();
            let exchange = Exchange { context, destination, meter, puts_secrets_in: false };
            http::serve(&exchange, &mut program.stream, dial(context, destination)).await
        }
        _ => opaque(context, destination, program, meter).await,
    }
}

/// TLS whose greeting is read before the host hears of it.
async fn tls(
    context: &Context,
    destination: &Destination,
    program: &mut Program,
    meter: &Meter<'_>,
) -> Result<(), Refusal> {
    use tokio::io::AsyncWriteExt as _;
    program.accept();
    let greeting = greeting::read(&mut program.stream).await?;
    greeting::check(&destination.host, greeting.name.as_deref())?;
    let mut upstream = dial(context, destination).await?;
    meter.out(greeting.bytes.len())?;
    upstream.write_all(&greeting.bytes).await.map_err(|error| broken(&error))?;
    finish(program, upstream, meter, Watch::nothing()).await
}

/// Anything else: whether the host answers is known before the program's connection is open.
async fn opaque(
    context: &Context,
    destination: &Destination,
    program: &mut Program,
    meter: &Meter<'_>,
) -> Result<(), Refusal> {
    let upstream = dial(context, destination).await?;
    program.accept();
    finish(program, upstream, meter, Watch::new(&destination.host, &context.secrets)).await
}

async fn finish(
    program: &mut Program,
    upstream: TcpStream,
    meter: &Meter<'_>,
    watch: Watch<'_>,
) -> Result<(), Refusal> {
    let gone = program.gone.clone();
    let mut upstream = Upstream { stream: upstream, is_over: false };
    let result = tokio::select! {
        result = relay(&mut program.stream, &mut upstream.stream, meter, watch) => result,
        () = gone.cancelled() => Err(Refusal::Broken("the program broke it".to_owned())),
    };
    upstream.is_over = result.is_ok();
    result
}

/// A connection to a host. Dropped before it is over, the host sees it break, and not the end of what was sent.
struct Upstream {
    stream: TcpStream,
    is_over: bool,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if !self.is_over {
            let _set = self.stream.set_zero_linger();
        }
    }
}
