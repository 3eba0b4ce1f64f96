//! Heads of requests and responses: read strictly, written as they were read.

use crate::Refusal;

/// A longer head is refused.
pub(super) const LONGEST_HEAD: usize = 128 << 10;

/// More headers are refused.
const MOST_HEADERS: usize = 256;

/// A header as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// The headers of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(pub(super) Vec<Header>);

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// 0 or 1, behind `HTTP/1.`.
    pub(super) minor: u8,
    pub(super) headers: Headers,
}

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) minor: u8,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Headers,
}

impl Headers {
    /// The values of all headers with this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_slice())
    }

    /// Takes all headers with this name away.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|header| !header.name.eq_ignore_ascii_case(name));
    }

    /// Adds a header.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.push(Header { name: name.to_owned(), value: value.as_bytes().to_vec() });
    }

    fn write(&self, text: &mut Vec<u8>) {
        for header in &self.0 {
            text.extend(header.name.as_bytes());
            text.extend(b": ");
            text.extend(&header.value);
            text.extend(b"\r\n");
        }
        text.extend(b"\r\n");
    }
}

impl Request {
    /// Reads a head, if it is whole; also how long it is.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let Some(length) = finish(request.parse(bytes), bytes)? else { return Ok(None) };
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            minor: request.version.unwrap_or_default(),
            headers: own(request.headers),
        };
        Ok(Some((head, length)))
    }

    /// The head as it is sent.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.{}\r\n", self.method, self.target, self.minor).into_bytes();
        self.headers.write(&mut text);
        text
    }
}

impl Response {
    /// Reads a head, if it is whole; also how long it is.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Some(length) = finish(response.parse(bytes), bytes)? else { return Ok(None) };
        let head = Self {
            minor: response.version.unwrap_or_default(),
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            headers: own(response.headers),
        };
        Ok(Some((head, length)))
    }

    /// The head as it is sent.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.{} {} {}\r\n", self.minor, self.status, self.reason).into_bytes();
        self.headers.write(&mut text);
        text
    }
}

fn finish(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    match parsed.map_err(|error| Refusal::Http(error.to_string()))? {
        httparse::Status::Complete(length) => Ok(Some(length)),
        httparse::Status::Partial if bytes.len() > LONGEST_HEAD => {
            Err(Refusal::Http("the head is too long".to_owned()))
        }
        httparse::Status::Partial => Ok(None),
    }
}

fn own(headers: &[httparse::Header<'_>]) -> Headers {
    let own = |header: &httparse::Header<'_>| Header { name: header.name.to_owned(), value: header.value.to_vec() };
    Headers(headers.iter().map(own).collect())
}
