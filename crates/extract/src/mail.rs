//! Mails: who, when, about what, the text, and the names of what is attached; mails in mails. Leaves out the attached
//! files themselves.

use mail_parser::{Addr, Address, Message, MessageParser, MimeHeaders as _};

use crate::{
    Error, Format, Found, Limits, html,
    text::{Text, one_line},
};

/// Reads a mail.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
    let mail = MessageParser::default()
        .parse(bytes)
        .filter(|mail| !mail.headers().is_empty())
        .ok_or_else(|| Error::broken(Format::Mail, "it has no headers"))?;
    let (mut text, mut notes) = (Text::new(limits), Vec::new());
    write(&mail, 0, limits, &mut text, &mut notes);
    let mut found = Found { title: mail.subject().map(str::to_owned), ..text.into_found() };
    found.notes.extend(notes);
    for (key, addresses) in [("from", mail.from()), ("to", mail.to()), ("cc", mail.cc())] {
        if let Some(addresses) = addresses {
            found.metadata.insert(key.to_owned(), people(addresses).into());
        }
    }
    if let Some(date) = mail.date() {
        found.metadata.insert("date".to_owned(), date.to_rfc3339().into());
    }
    let attached = attached(&mail);
    if !attached.is_empty() {
        found.metadata.insert("attachments".to_owned(), attached.into());
    }
    Ok(found)
}

fn write(mail: &Message<'_>, depth: usize, limits: &Limits, text: &mut Text, notes: &mut Vec<String>) {
    text.heading(depth + 1, mail.subject().unwrap_or("Mail without a subject"));
    let people = |addresses: Option<&Address<'_>>| addresses.map(people).unwrap_or_default();
    let date = mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default();
    for (name, value) in [("From", people(mail.from())), ("To", people(mail.to())), ("Date", date)] {
        if !value.is_empty() {
            text.item(0, "-", &format!("{name}: {value}"));
        }
    }
    write_body(mail, text, notes);
    let names = attached(mail);
    if !names.is_empty() {
        text.heading(depth + 2, "Attachments");
        names.iter().for_each(|name| text.item(0, "-", name));
    }
    for inner in mail.attachments().filter_map(|part| part.message()) {
        if depth + 1 >= limits.mails {
            notes.push(format!("mails within mails were left out from the {}th on", limits.mails));
            return;
        }
        write(inner, depth + 1, limits, text, notes);
    }
}

/// The text as its writer made it; where there is only a page, its content.
fn write_body(mail: &Message<'_>, text: &mut Text, notes: &mut Vec<String>) {
    let is_plain = |id: &u32| mail.part(*id).is_some_and(|part| part.is_text() && !part.is_text_html());
    if mail.text_body.iter().any(is_plain) {
        for position in 0..mail.text_body_count() {
            if let Some(body) = mail.body_text(position) {
                text.paragraph(&body.replace("\r\n", "\n"));
            }
        }
        return;
    }
    for position in 0..mail.html_body_count() {
        let Some(body) = mail.body_html(position) else { continue };
        match html::to_markdown(&body, html::Part::Content) {
            Ok(markdown) => text.block(&markdown),
            Err(error) => notes.push(format!("a part of the mail was left out: {error}")),
        }
    }
}

/// The names of what is attached.
fn attached(mail: &Message<'_>) -> Vec<String> {
    let name = |part: &mail_parser::MessagePart<'_>| match (part.attachment_name(), part.message()) {
        (Some(name), _) => one_line(name),
        (None, Some(mail)) => one_line(mail.subject().unwrap_or("a mail")),
        (None, None) => "a file without a name".to_owned(),
    };
    mail.attachments().map(name).collect()
}

fn people(addresses: &Address<'_>) -> String {
    let person = |address: &Addr<'_>| match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    one_line(&addresses.iter().map(person).collect::<Vec<_>>().join(", "))
}
