//! DNS for programs, answered from the rules alone: a listed name gets an address that stands for it, everything else does
//! not exist. No query leaves the broker.
//!
//! The messages are those of RFC 1035: one question, no compression in it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    HostName, NameError, Quota, Refusal,
    context::{Context, broken},
    counters::add,
    program::Program,
};

/// Seconds for which a program may remember an answer. The binding of name and address outlives it by far.
const TIME_TO_LIVE: u32 = 60;

const HEADER_LENGTH: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;

/// What a query's answer says besides addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Fine = 0,
    Malformed = 1,
    NoSuchName = 3,
    Refused = 5,
}

/// A query that is in order.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    name: Result<HostName, NameError>,
    /// As asked, for the audit log.
    text: String,
    kind: u16,
    class: u16,
    /// Where the question ends in the message.
    end: usize,
}

/// Answers a message; `None` when it is nothing that can be answered.
pub(crate) fn answer(context: &Context, query: &[u8]) -> Option<Vec<u8>> {
    let header = query.get(..HEADER_LENGTH)?;
    // An answer is never answered: two servers would talk for ever.
    if header.get(2)? & 0x80 != 0 {
        return None;
    }
    add(&context.counting.dns_queries, 1);
    if !context.dns_queries.take(1) {
        add(&context.counting.refused_queries, 1);
        context.observer.refuse_queries("DNS".to_owned(), Refusal::Quota(Quota::DnsQueries));
        return Some(message(header, &[], Code::Refused, None));
    }
    context.observer.query_passed();
    let Some(question) = parse(query) else {
        add(&context.counting.refused_queries, 1);
        context.observer.refuse("DNS".to_owned(), Refusal::Query);
        return Some(message(header, &[], Code::Malformed, None));
    };
    let asked = query.get(HEADER_LENGTH..question.end).unwrap_or_default();
    match decide(context, &question) {
        Ok(address) => Some(message(header, asked, Code::Fine, address)),
        Err(why) => {
            add(&context.counting.refused_queries, 1);
            context.observer.refuse(format!("DNS {}", question.text.escape_debug()), why);
            Some(message(header, asked, Code::NoSuchName, None))
        }
    }
}

/// Answers queries that come over a connection, each behind its length.
pub(crate) async fn serve(context: &Context, program: &mut Program) -> Result<(), Refusal> {
    program.accept();
    let stream = &mut program.stream;
    loop {
        let mut length = [0; 2];
        match stream.read_exact(&mut length).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(broken(&error)),
        }
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).await.map_err(|error| broken(&error))?;
        let Some(answer) = answer(context, &query) else { break };
        let mut framed = u16::try_from(answer.len()).unwrap_or_default().to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed).await.map_err(|error| broken(&error))?;
    }
    stream.shutdown().await.map_err(|error| broken(&error))
}

fn decide(context: &Context, question: &Question) -> Result<Option<[u8; 4]>, Refusal> {
    let name = question.name.as_ref().map_err(|error| Refusal::Name(*error))?;
    if !context.rules.knows(name) {
        return Err(Refusal::NotListed);
    }
    let wanted = question.kind == TYPE_A && question.class == CLASS_IN;
    Ok(wanted.then(|| context.names().address_of(name).octets()))
}

/// Reads a message with exactly one question.
fn parse(query: &[u8]) -> Option<Question> {
    let number = |at: usize| Some(u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]));
    let is_plain_query = number(2)? & 0x7800 == 0;
    if !is_plain_query || number(4)? != 1 || number(6)? != 0 || number(8)? != 0 {
        return None;
    }
    let mut labels = Vec::new();
    let mut at = HEADER_LENGTH;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => labels.push(query.get(at..at + length)?),
            _ => return None,
        }
        at += length;
        if at > HEADER_LENGTH + 255 {
            return None;
        }
    }
    let text = labels.iter().map(|label| String::from_utf8_lossy(label)).collect::<Vec<_>>().join(".");
    Some(Question { name: name_of(&labels, &text), text, kind: number(at)?, class: number(at + 2)?, end: at + 4 })
}

/// A dot inside of a label would move the borders between labels.
fn name_of(labels: &[&[u8]], text: &str) -> Result<HostName, NameError> {
    if labels.iter().any(|label| label.contains(&b'.')) {
        return Err(NameError::Letter);
    }
    HostName::parse(text)
}

fn message(query_header: &[u8], question: &[u8], code: Code, address: Option<[u8; 4]>) -> Vec<u8> {
    let id = query_header.get(..2).unwrap_or_default();
    let wants_recursion = query_header.get(2).copied().unwrap_or_default() & 0x01;
    let mut message = id.to_vec();
    message.extend([0x80 | wants_recursion, 0x80 | code as u8]);
    message.extend(u16::from(!question.is_empty()).to_be_bytes());
    message.extend(u16::from(address.is_some()).to_be_bytes());
    message.extend([0; 4]);
    message.extend(question);
    if let Some(address) = address {
        // The name is the one at the question's place.
        message.extend([0xc0, 0x0c]);
        message.extend(TYPE_A.to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(TIME_TO_LIVE.to_be_bytes());
        message.extend([0, 4]);
        message.extend(address);
    }
    message
}
