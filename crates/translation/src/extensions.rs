//! Headers without a field of their own: what has changed in their lines.

use trunkline_sip::{Header, HeaderName, Message, Splices};
use trunkline_wire::sipmessage::Extension;

use crate::reading::{WITH_FIELD, name_of};
use crate::{TranslationError, checked, text, token};

/// Lines without which a message is none, or its body cannot be read: they stay also where they do not come back.
const KEPT: [HeaderName; 2] = [HeaderName::CSeq, HeaderName::ContentType];

/// Edits the lines so that they are those that came back; new ones are put in at `end`, the end of the headers.
pub(crate) fn splice(
    message: &Message<'_>,
    sent: &[Extension],
    returned: &[Extension],
    (end, splices): (u16, &mut Splices),
) -> Result<(), TranslationError> {
    if sent == returned {
        return Ok(());
    }
    let lines: Vec<&Header> =
        message.lines().iter().filter(|header| !WITH_FIELD.contains(&header.name)).collect();
    let mut names: Vec<String> = Vec::new();
    for extension in sent.iter().chain(returned) {
        let name = extension.name.to_ascii_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let of_name = |extension: &&Extension| extension.name.eq_ignore_ascii_case(&name);
        let now: Vec<&Extension> = returned.iter().filter(of_name).collect();
        let before: Vec<&&Header> =
            lines.iter().filter(|header| name_of(message, header).eq_ignore_ascii_case(&name)).collect();
        one_name(message, &before, &now, (end, splices))?;
    }
    Ok(())
}

/// The lines of one name.
fn one_name(
    message: &Message<'_>,
    before: &[&&Header],
    now: &[&Extension],
    (end, splices): (u16, &mut Splices),
) -> Result<(), TranslationError> {
    let value = |header: &Header| text(header.value.of(message.bytes));
    // Where some lines are gone and the others are as they were, these stay untouched.
    let mut rest = now.iter();
    let mut next = rest.next();
    let stays: Vec<bool> = before
        .iter()
        .map(|header| {
            let same = next.is_some_and(|extension| extension.value == value(header));
            if same {
                next = rest.next();
            }
            same
        })
        .collect();
    if next.is_none() {
        for (header, stays) in before.iter().zip(stays) {
            let kept = KEPT.contains(&header.name)
                && (header.name == HeaderName::CSeq || !message.body().is_empty());
            if !stays && !kept {
                splices.delete(header.line);
            }
        }
        return Ok(());
    }
    for place in 0..before.len().max(now.len()) {
        match (before.get(place), now.get(place)) {
            (Some(header), Some(extension)) if extension.value != value(header) => {
                let value = checked(&extension.value, "the value of a header")?;
                if header.name == HeaderName::CSeq && !is_number_and_method(value, message.method_name()) {
                    return Err(TranslationError::Characters("CSeq"));
                }
                splices.replace(header.value, value);
            }
            (Some(header), None) => splices.delete(header.line),
            (None, Some(extension)) => put_new(extension, (end, splices))?,
            _ => {}
        }
    }
    Ok(())
}

/// Is it a CSeq of this method (RFC 3261 §20.16)?
fn is_number_and_method(value: &[u8], method: &[u8]) -> bool {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = value.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    let rest = value.get(digits..).unwrap_or_default();
    number.is_some_and(|number| number < 1 << 31)
        && rest.first() == Some(&b' ')
        && rest.trim_ascii() == method
}

fn put_new(extension: &Extension, (end, splices): (u16, &mut Splices)) -> Result<(), TranslationError> {
    let name = token(&extension.name, "the name of a header")?;
    let known = HeaderName::from_bytes(name);
    if WITH_FIELD.contains(&known) {
        return Err(TranslationError::HasField(extension.name.clone()));
    }
    let value = checked(&extension.value, "the value of a header")?;
    splices.insert_with(end, |out| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    });
    Ok(())
}
