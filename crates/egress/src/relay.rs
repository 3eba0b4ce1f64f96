//! Bytes both ways between a program and its host, each direction with its own end.

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Refusal, context::broken, meter::Meter, watch::Watch};

const BUFFER_LENGTH: usize = 256 << 10;

/// Passes bytes on until both sides have ended, or one breaks.
pub(crate) async fn relay<S>(
    program: &mut S,
    upstream: &mut TcpStream,
    meter: &Meter<'_>,
    watch: Watch<'_>,
) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (from_program, to_program) = tokio::io::split(program);
    let (from_host, to_host) = upstream.split();
    tokio::try_join!(outward(from_program, to_host, meter, watch), inward(from_host, to_program, meter)).map(|_| ())
}

async fn outward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    meter: &Meter<'_>,
    mut watch: Watch<'_>,
) -> Result<(), Refusal> {
    let mut buffer = vec![0; BUFFER_LENGTH];
    loop {
        let length = from.read(&mut buffer).await.map_err(|error| broken(&error))?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await.map_err(|error| broken(&error));
        }
        watch.check(bytes)?;
        meter.out(length)?;
        to.write_all(bytes).await.map_err(|error| broken(&error))?;
    }
}

async fn inward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    meter: &Meter<'_>,
) -> Result<(), Refusal> {
    let mut buffer = vec![0; BUFFER_LENGTH];
    loop {
        let length = from.read(&mut buffer).await.map_err(|error| broken(&error))?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await.map_err(|error| broken(&error));
        }
        meter.came(length);
        to.write_all(bytes).await.map_err(|error| broken(&error))?;
    }
}
