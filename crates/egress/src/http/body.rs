//! Bodies of messages: how long they are, and passing them on through a filter.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{
    buffered::Buffered,
    head::{Headers, Request, Response},
};
use crate::{Refusal, context::broken};

/// A chunk's size line or a trailer that is longer is refused.
const LONGEST_LINE: usize = 8 << 10;

/// How a body's end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// Sees a body's bytes on their way.
pub(super) trait Filter {
    /// Takes bytes; what may go on is added to the output.
    fn pass(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Refusal>;

    /// The body is over.
    fn finish(&mut self, output: &mut Vec<u8>);
}

/// How long a request's body is.
pub(super) fn of_request(request: &Request) -> Result<Framing, Refusal> {
    Ok(announced(&request.headers, request.minor)?.unwrap_or(Framing::Length(0)))
}

/// How long the body of a response is.
pub(super) fn of_response(response: &Response, method: &str) -> Result<Framing, Refusal> {
    if method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    Ok(announced(&response.headers, response.minor)?.unwrap_or(Framing::Close))
}

fn announced(headers: &Headers, minor: u8) -> Result<Option<Framing>, Refusal> {
    let refuse = |problem: &str| Err(Refusal::Http(problem.to_owned()));
    let lengths: Vec<&[u8]> = headers.all("content-length").collect();
    let codings: Vec<&[u8]> = headers.all("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && minor == 1 => Ok(Some(Framing::Chunked)),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            length.map_or_else(|| refuse("the body is too long"), |length| Ok(Some(Framing::Length(length))))
        }
        _ => refuse("the length of the body is not clear"),
    }
}

/// Passes a body on.
pub(super) async fn pass<R, W>(
    framing: Framing,
    from: &mut Buffered<R>,
    to: &mut W,
    filter: &mut impl Filter,
) -> Result<(), Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    match framing {
        Framing::Length(length) => pass_length(length, from, to, filter).await?,
        Framing::Chunked => pass_chunks(from, to, filter).await?,
        Framing::Close => pass_rest(from, to, filter).await?,
    }
    to.flush().await.map_err(|error| broken(&error))
}

/// Passes everything on until the stream ends.
pub(super) async fn pass_rest<R, W>(from: &mut Buffered<R>, to: &mut W, filter: &mut impl Filter) -> Result<(), Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut output = Vec::new();
    loop {
        let bytes = from.take(usize::MAX);
        filter.pass(&bytes, &mut output)?;
        write(to, &mut output).await?;
        if !from.fill().await? {
            break;
        }
    }
    filter.finish(&mut output);
    write(to, &mut output).await
}

async fn pass_length<R, W>(
    mut left: u64,
    from: &mut Buffered<R>,
    to: &mut W,
    filter: &mut impl Filter,
) -> Result<(), Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut output = Vec::new();
    while left > 0 {
        let bytes = take_up_to(from, left).await?;
        left -= u64::try_from(bytes.len()).unwrap_or(left);
        filter.pass(&bytes, &mut output)?;
        if left == 0 {
            filter.finish(&mut output);
        }
        write(to, &mut output).await?;
    }
    Ok(())
}

/// Takes chunks apart and makes new ones, without extensions and trailers.
async fn pass_chunks<R, W>(from: &mut Buffered<R>, to: &mut W, filter: &mut impl Filter) -> Result<(), Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut output = Vec::new();
    loop {
        let mut left = chunk_size(from).await?;
        if left == 0 {
            break;
        }
        while left > 0 {
            let bytes = take_up_to(from, left).await?;
            left -= u64::try_from(bytes.len()).unwrap_or(left);
            filter.pass(&bytes, &mut output)?;
            write_chunk(to, &mut output).await?;
        }
        if !line(from).await?.is_empty() {
            return Err(Refusal::Http("a chunk is longer than its size".to_owned()));
        }
    }
    while !line(from).await?.is_empty() {}
    filter.finish(&mut output);
    write_chunk(to, &mut output).await?;
    write(to, &mut b"0\r\n\r\n".to_vec()).await
}

async fn take_up_to<R: AsyncRead + Unpin>(from: &mut Buffered<R>, most: u64) -> Result<bytes::BytesMut, Refusal> {
    if from.bytes().is_empty() {
        from.fill_more().await?;
    }
    Ok(from.take(usize::try_from(most).unwrap_or(usize::MAX)))
}

async fn chunk_size<R: AsyncRead + Unpin>(from: &mut Buffered<R>) -> Result<u64, Refusal> {
    let line = line(from).await?;
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let is_plain = !size.is_empty() && size.len() <= 15 && size.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(size).unwrap_or_default();
    match u64::from_str_radix(text, 16) {
        Ok(size) if is_plain => Ok(size),
        _ => Err(Refusal::Http("the size of a chunk is no number".to_owned())),
    }
}

/// Takes a line that ends with CR and LF, without them.
async fn line<R: AsyncRead + Unpin>(from: &mut Buffered<R>) -> Result<Vec<u8>, Refusal> {
    loop {
        let end = from.bytes().iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) => {
                let line = from.take(end + 1);
                return match line.strip_suffix(b"\r\n") {
                    Some(line) if !line.contains(&b'\r') => Ok(line.to_vec()),
                    _ => Err(Refusal::Http("a line does not end with CR LF".to_owned())),
                };
            }
            None if from.bytes().len() > LONGEST_LINE => {
                return Err(Refusal::Http("a line between chunks is too long".to_owned()));
            }
            None => from.fill_more().await?,
        }
    }
}

async fn write_chunk<W: AsyncWrite + Unpin>(to: &mut W, output: &mut Vec<u8>) -> Result<(), Refusal> {
    if output.is_empty() {
        return Ok(());
    }
    let mut chunk = format!("{:x}\r\n", output.len()).into_bytes();
    chunk.append(output);
    chunk.extend(b"\r\n");
    write(to, &mut chunk).await
}

/// Writes and flushes, so that nothing waits in a buffer of TLS.
pub(super) async fn write<W: AsyncWrite + Unpin>(to: &mut W, output: &mut Vec<u8>) -> Result<(), Refusal> {
    if output.is_empty() {
        return Ok(());
    }
    to.write_all(output).await.map_err(|error| broken(&error))?;
    output.clear();
    to.flush().await.map_err(|error| broken(&error))
}
