//! Images built from a directory: [`BuildSpec`].

use std::{collections::BTreeMap, path::PathBuf};

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, ReadBuf};

use super::context;
use crate::{Engine, Error};

/// The most bytes that are sent at once.
const CHUNK: usize = 64 << 10;

/// An image to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// Name of the image.
    pub image: String,
    /// The directory whose files the instructions may copy. Links in it are kept as they are.
    pub context: PathBuf,
    /// The file with the instructions, from that directory on.
    pub file: PathBuf,
    /// Names in that directory that are left out, with everything below: `.git`.
    pub ignored: Vec<String>,
    /// Texts that stand in the context as files besides what is there: by their path in it.
    pub texts: BTreeMap<PathBuf, String>,
    /// Files of this machine that stand in the context besides what is there: by their path in it.
    pub files: BTreeMap<PathBuf, PathBuf>,
}

impl Engine {
    /// Builds an image. What the engine says goes to `progress`, line by line. Images that it starts from must be there:
    /// none is fetched.
    ///
    /// # Errors
    /// When an image that it starts from is missing, a file cannot be read, or an instruction fails; the engine's words
    /// are in the error.
    pub async fn build(&self, spec: &BuildSpec, mut progress: impl FnMut(&str)) -> Result<(), Error> {
        let instructions = context::instructions(spec)?;
        for base in context::bases(&instructions) {
            self.image(&base).await?;
        }
        let packed = spec.clone();
        let archive = tokio::task::spawn_blocking(move || context::pack(&packed));
        let archive = archive.await.map_err(|_| Error::Gone)??;
        let body = bollard::body_try_stream(chunks(tokio::fs::File::from_std(archive)));
        let file = spec.file.to_string_lossy();
        let options =
            BuildImageOptionsBuilder::default().dockerfile(&file).t(&spec.image).rm(true).forcerm(true).build();
        let mut told = std::pin::pin!(self.api().build_image(options, None, Some(body)));
        while let Some(step) = told.next().await {
            let step = step.map_err(self.failed("build an image"))?;
            if let Some(problem) = step.error_detail.and_then(|detail| detail.message) {
                return Err(Error::Build { image: spec.image.clone(), problem });
            }
            step.stream.iter().flat_map(|text| text.lines()).for_each(&mut progress);
        }
        self.image(&spec.image).await.map(drop)
    }
}

/// A file piece by piece.
fn chunks(file: tokio::fs::File) -> impl futures::Stream<Item = std::io::Result<bytes::Bytes>> {
    let next = |mut file: tokio::fs::File| async move {
        let mut buffer = vec![0; CHUNK];
        let read = std::future::poll_fn(|context| {
            let mut space = ReadBuf::new(&mut buffer);
            let polled = std::pin::Pin::new(&mut file).poll_read(context, &mut space);
            polled.map_ok(|()| space.filled().len())
        });
        let length = read.await?;
        buffer.truncate(length);
        Ok((length > 0).then(|| (buffer.into(), file)))
    };
    futures::stream::try_unfold(file, next).into_stream()
}
