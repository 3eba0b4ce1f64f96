//! Containers that are started on first use, shared by those who may share them, and stopped after a while without use.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OnceCell},
    task::JoinSet,
    time::Instant,
};

use crate::{Container, ContainerSpec, Engine, Error, Guard};

/// Who uses a container together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All personas with the same container (image, workspace, paths, limits) and the same policy.
    Shared,
    /// Each persona has its own.
    Own,
}

/// What tells containers apart: everything in the spec but its label, the policy, and who has it alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    spec: ContainerSpec,
    policy: String,
    persona: Option<String>,
}

/// Containers by what they are for. [`Pool::close`] stops them and waits.
#[derive(Debug)]
pub struct Pool {
    shelf: Arc<Shelf>,
    sharing: Sharing,
    /// The task that stops idle ones.
    keeper: JoinSet<()>,
}

#[derive(Debug)]
struct Shelf {
    engine: Engine,
    idle: Duration,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    changed: Notify,
    closing: AtomicBool,
    swept: OnceCell<()>,
}

/// The place of one container.
#[derive(Debug)]
struct Slot {
    container: tokio::sync::Mutex<Option<Arc<Container>>>,
    usage: Mutex<Usage>,
}

#[derive(Debug)]
struct Usage {
    users: usize,
    /// Since when there has been none.
    since: Instant,
}

/// The use of a container. While it is kept, the container runs.
#[derive(Debug)]
pub struct Lease {
    container: Arc<Container>,
    _use: Use,
}

impl std::ops::Deref for Lease {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

#[derive(Debug)]
struct Use {
    shelf: Arc<Shelf>,
    slot: Arc<Slot>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut usage = lock(&self.slot.usage);
        usage.users -= 1;
        usage.since = Instant::now();
        drop(usage);
        self.shelf.changed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool that stops a container when nobody has used it for `idle`. Must be called on a Tokio runtime.
    #[must_use]
    pub fn new(engine: Engine, sharing: Sharing, idle: Duration) -> Self {
        let shelf = Arc::new(Shelf {
            engine,
            idle,
            slots: Mutex::default(),
            changed: Notify::new(),
            closing: AtomicBool::new(false),
            swept: OnceCell::new(),
        });
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(Arc::clone(&shelf)));
        Self { shelf, sharing, keeper }
    }

    /// The container of a persona, started if it does not run. `policy` is a digest of what the persona may do: those
    /// with different ones never share. The guard is dropped when the container runs already, which has its own.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    pub async fn lease(&self, persona: &str, policy: &str, spec: &ContainerSpec, guard: Guard) -> Result<Lease, Error> {
        let key = Key {
            spec: ContainerSpec { label: String::new(), ..spec.clone() },
            policy: policy.to_owned(),
            persona: (self.sharing == Sharing::Own).then(|| persona.to_owned()),
        };
        let usage = self.shelf.enter(key);
        self.shelf.sweep().await;
        let mut place = usage.slot.container.lock().await;
        if let Some(running) = place.as_ref() {
            if running.is_alive().await {
                return Ok(Lease { container: Arc::clone(running), _use: usage.again() });
            }
            stop(running).await;
        }
        *place = None;
        let container = Arc::new(self.shelf.engine.start(spec, guard).await?);
        *place = Some(Arc::clone(&container));
        Ok(Lease { container, _use: usage.again() })
    }

    /// Stops all containers, used ones included, and waits until they are gone.
    pub async fn close(mut self) {
        self.shelf.closing.store(true, Ordering::SeqCst);
        self.shelf.changed.notify_one();
        while self.keeper.join_next().await.is_some() {}
        let slots: Vec<_> = lock(&self.shelf.slots).drain().map(|(_, slot)| slot).collect();
        futures::future::join_all(slots.iter().map(|slot| slot.empty())).await;
    }
}

impl Use {
    /// Another use beside this one, whose slot may be borrowed.
    fn again(&self) -> Self {
        lock(&self.slot.usage).users += 1;
        Self { shelf: Arc::clone(&self.shelf), slot: Arc::clone(&self.slot) }
    }
}

impl Shelf {
    /// Takes the slot of a key, so that its container is not stopped.
    fn enter(self: &Arc<Self>, key: Key) -> Use {
        let mut slots = lock(&self.slots);
        let new = || {
            let usage = Mutex::new(Usage { users: 0, since: Instant::now() });
            Arc::new(Slot { container: tokio::sync::Mutex::default(), usage })
        };
        let slot = Arc::clone(slots.entry(key).or_insert_with(new));
        lock(&slot.usage).users += 1;
        Use { shelf: Arc::clone(self), slot }
    }

    /// Removes what dead owners left, once. That it fails keeps nobody from starting.
    async fn sweep(&self) {
        let sweeping = || async {
            match self.engine.sweep().await {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::info!(count = removed.len(), "removed containers of dead owners"),
                Err(error) => tracing::warn!(%error, "containers of dead owners were not removed"),
            }
        };
        self.swept.get_or_init(sweeping).await;
    }

    /// Takes out what has been idle for long enough, and tells when the next one will be.
    fn idle(&self) -> (Vec<Arc<Slot>>, Option<Instant>) {
        let (mut idle, mut next) = (Vec::new(), None);
        let now = Instant::now();
        lock(&self.slots).retain(|_, slot| {
            let usage = lock(&slot.usage);
            let due = usage.since + self.idle;
            if usage.users > 0 {
                return true;
            }
            if due <= now {
                idle.push(Arc::clone(slot));
                return false;
            }
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
            true
        });
        (idle, next)
    }
}

/// Stops idle containers until the pool is closed.
async fn keep(shelf: Arc<Shelf>) {
    while !shelf.closing.load(Ordering::SeqCst) {
        let (idle, next) = shelf.idle();
        futures::future::join_all(idle.iter().map(|slot| slot.empty())).await;
        let wait = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            () = shelf.changed.notified() => {}
        }
    }
}

impl Slot {
    async fn empty(&self) {
        let container = self.container.lock().await.take();
        if let Some(container) = container {
            stop(&container).await;
        }
    }
}

async fn stop(container: &Container) {
    if let Err(error) = container.remove().await {
        tracing::warn!(%error, id = container.id(), "a container could not be removed");
    }
}
