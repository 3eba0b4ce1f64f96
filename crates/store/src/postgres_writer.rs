//! The one task that writes to PostgreSQL, and the one that hears which runs others changed.
//!
//! The writer takes whatever is queued and makes it durable with one commit. A connection that broke is made anew for
//! the next batch; the batch that noticed fails.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};
use tokio_postgres::AsyncMessage;

use crate::{
    Error,
    dialect::postgres::{CHANNEL, Server},
    watch::Hub,
    write::{self, Outcome, Write},
};

const BATCH_WRITES: usize = 512;
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

type Reply = oneshot::Sender<Result<Outcome, Error>>;

enum Job {
    Write(Write, Reply),
    Stop,
}

/// The sending end, and the tasks.
#[derive(Debug)]
pub(crate) struct PostgresWriter {
    jobs: mpsc::UnboundedSender<Job>,
    writer: Mutex<JoinSet<()>>,
    listener: Mutex<JoinSet<()>>,
}

impl PostgresWriter {
    /// Connects, migrates and starts the tasks.
    pub(crate) async fn open(server: Server, hub: Arc<Hub>) -> Result<Self, Error> {
        let pool = server.pool(1)?;
        server.take(&pool).await?.migrate().await?;
        let (jobs, queue) = mpsc::unbounded_channel();
        let (mut writer, mut listener) = (JoinSet::new(), JoinSet::new());
        writer.spawn(run(server.clone(), pool, queue, Arc::clone(&hub)));
        listener.spawn(listen(server, hub));
        Ok(Self { jobs, writer: Mutex::new(writer), listener: Mutex::new(listener) })
    }

    pub(crate) fn submit(&self, write: Write) -> oneshot::Receiver<Result<Outcome, Error>> {
        let (reply, outcome) = oneshot::channel();
        // A task that ended drops the reply, which the receiver sees.
        let _ended = self.jobs.send(Job::Write(write, reply));
        outcome
    }

    /// Does what is queued and ends the tasks.
    pub(crate) async fn close(&self) {
        let _ended = self.jobs.send(Job::Stop);
        while self.writer.lock().await.join_next().await.is_some() {}
        self.listener.lock().await.shutdown().await;
    }
}

async fn run(server: Server, pool: Pool, mut queue: mpsc::UnboundedReceiver<Job>, hub: Arc<Hub>) {
    let mut batch: Vec<(Write, Reply)> = Vec::new();
    let mut stopped = false;
    while !stopped {
        let Some(first) = queue.recv().await else { return };
        let mut job = Some(first);
        while let Some(taken) = job {
            match taken {
                Job::Write(write, reply) => batch.push((write, reply)),
                Job::Stop => {
                    stopped = true;
                    break;
                }
            }
            job = if batch.len() < BATCH_WRITES { queue.try_recv().ok() } else { None };
        }
        commit(&server, &pool, &hub, &mut batch).await;
    }
    pool.close();
}

async fn commit(server: &Server, pool: &Pool, hub: &Hub, batch: &mut Vec<(Write, Reply)>) {
    if batch.is_empty() {
        return;
    }
    let writes: Vec<_> = batch.iter().map(|(write, _)| write).collect();
    let results = match server.take(pool).await {
        Ok(session) => write::commit(&session, &writes, None).await,
        Err(error) => writes.iter().map(|_| Err(error.clone())).collect(),
    };
    hub.wake(writes.iter().flat_map(|write| write.changes()));
    for ((_, reply), result) in batch.drain(..).zip(results) {
        let _nobody_waits = reply.send(result);
    }
}

/// Hears which runs changed, for ever. What was said while the connection was down is not known: all are woken.
async fn listen(server: Server, hub: Arc<Hub>) {
    loop {
        if let Err(error) = listen_once(&server, &hub).await {
            tracing::warn!(%error, "lost the connection that hears of changed runs; trying again");
        }
        hub.wake_all();
        tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
    }
}

async fn listen_once(server: &Server, hub: &Hub) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = server.config.connect(server.tls.clone()).await?;
    let statement = format!("LISTEN {CHANNEL}");
    let mut subscribe = pin!(client.batch_execute(&statement));
    let mut subscribed = false;
    poll_fn(|context| {
        if !subscribed && let std::task::Poll::Ready(result) = subscribe.as_mut().poll(context) {
            result?;
            subscribed = true;
            hub.wake_all();
        }
        while let std::task::Poll::Ready(message) = connection.poll_message(context) {
            match message {
                Some(Ok(AsyncMessage::Notification(said))) => hub.wake(said.payload().parse().ok()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return std::task::Poll::Ready(Err(error)),
                None => return std::task::Poll::Ready(Ok(())),
            }
            // The answer to LISTEN arrives with the messages.
            if !subscribed {
                context.waker().wake_by_ref();
            }
        }
        std::task::Poll::Pending
    })
    .await
}
