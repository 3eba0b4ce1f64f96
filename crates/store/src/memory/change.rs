//! One write to the memory, as the store's writer does it.

use masque_types::{digest::Digest, memory::EmbeddingModel};

use super::{
    dialect::MemorySession,
    document::{self, StoredDocument},
    forget, places,
    record::{ForgetFilter, Forgotten, Put},
};
use crate::Error;

const NEXT_GENERATION: &str = "UPDATE memory_generation SET generation = generation + 1 WHERE one = 1";

/// What is to be changed.
#[derive(Debug)]
pub(crate) enum MemoryChange {
    Put(Vec<StoredDocument>),
    Forget(ForgetFilter),
    Vectors(EmbeddingModel, Vec<(Digest, Vec<f32>)>),
    DropVectors(EmbeddingModel),
}

/// What was changed.
#[derive(Debug, Clone)]
pub(crate) enum MemoryOutcome {
    Put(Vec<Put>),
    Forgotten(Forgotten),
    Stored,
    Dropped(u64),
}

pub(crate) async fn apply<S: MemorySession>(session: &S, change: &MemoryChange) -> Result<MemoryOutcome, Error> {
    session.enter().await?;
    session.execute(NEXT_GENERATION, &[]).await?;
    match change {
        MemoryChange::Put(documents) => {
            let mut puts = Vec::with_capacity(documents.len());
            for stored in documents {
                puts.push(document::put(session, stored).await?);
            }
            Ok(MemoryOutcome::Put(puts))
        }
        MemoryChange::Forget(filter) => forget::forget(session, filter).await.map(MemoryOutcome::Forgotten),
        MemoryChange::Vectors(model, vectors) => {
            places::store(session, model, vectors).await.map(|()| MemoryOutcome::Stored)
        }
        MemoryChange::DropVectors(model) => places::drop_model(session, model).await.map(MemoryOutcome::Dropped),
    }
}
