//! The trait of everything that has a form on the wire, and the steps all translations share.

use std::str::FromStr;

use uuid::Uuid;

use crate::{Fault, Malformed};

/// A domain value that has a form on the wire.
pub trait Translate: Sized {
    /// The generated message.
    type Proto;

    /// Returns the form on the wire.
    fn to_proto(&self) -> Self::Proto;

    /// Reads the form on the wire.
    ///
    /// # Errors
    /// [`Malformed`] with the path of the first field that means nothing.
    fn from_proto(proto: Self::Proto) -> Result<Self, Malformed>;
}

/// A domain enumeration that has a number on the wire.
pub(crate) trait Numbered: Sized + Copy {
    /// Returns the number on the wire.
    fn number(self) -> i32;

    /// Reads the number; `None` for an unknown one and for the unspecified one.
    fn from_number(number: i32) -> Option<Self>;
}

/// Pairs the variants of a domain enumeration with those of a generated one.
macro_rules! numbered {
    ($domain:ident, $proto:ty { $($variant:ident = $value:ident),+ $(,)? }) => {
        impl crate::translate::Numbered for $domain {
            fn number(self) -> i32 {
                match self {
                    $(Self::$variant => <$proto>::$value as i32,)+
                }
            }

            fn from_number(number: i32) -> Option<Self> {
                match <$proto>::try_from(number) {
                    $(Ok(<$proto>::$value) => Some(Self::$variant),)+
                    Ok(<$proto>::Unspecified) | Err(_) => None,
                }
            }
        }
    };
}
pub(crate) use numbered;

/// Reads an enumeration that must be specified.
pub(crate) fn enumerated<T: Numbered>(field: &str, number: i32) -> Result<T, Malformed> {
    T::from_number(number).ok_or_else(|| Malformed::new(field, Fault::UnknownValue(number)))
}

/// Reads an enumeration whose unspecified value means absence.
pub(crate) fn enumerated_if_any<T: Numbered>(
    field: &str,
    number: i32,
) -> Result<Option<T>, Malformed> {
    if number == 0 { Ok(None) } else { enumerated(field, number).map(Some) }
}

/// Returns a field that must be set.
pub(crate) fn set<T>(field: &str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::new(field, Fault::Missing))
}

/// Reads a message that must be set.
pub(crate) fn read<T: Translate>(field: &str, proto: Option<T::Proto>) -> Result<T, Malformed> {
    T::from_proto(set(field, proto)?).map_err(|malformed| malformed.below(field))
}

/// Reads a message that may be absent.
pub(crate) fn read_if_any<T: Translate>(
    field: &str,
    proto: Option<T::Proto>,
) -> Result<Option<T>, Malformed> {
    proto.map(|proto| T::from_proto(proto).map_err(|malformed| malformed.below(field))).transpose()
}

/// Reads a list of messages.
pub(crate) fn read_all<T: Translate>(
    field: &str,
    protos: Vec<T::Proto>,
) -> Result<Vec<T>, Malformed> {
    let read = |(i, proto)| {
        T::from_proto(proto).map_err(|malformed| malformed.below(format_args!("{field}[{i}]")))
    };
    protos.into_iter().enumerate().map(read).collect()
}

/// Writes a list of messages.
pub(crate) fn write_all<'a, T: Translate + 'a>(
    values: impl IntoIterator<Item = &'a T>,
) -> Vec<T::Proto> {
    values.into_iter().map(Translate::to_proto).collect()
}

/// Reads a text that must be a name, a digest or a round.
pub(crate) fn parse<T>(field: &str, text: &str) -> Result<T, Malformed>
where
    T: FromStr,
    Fault: From<T::Err>,
{
    text.parse().map_err(|fault: T::Err| Malformed::new(field, fault))
}

/// Reads a text that is empty if absent.
pub(crate) fn parse_if_any<T>(field: &str, text: &str) -> Result<Option<T>, Malformed>
where
    T: FromStr,
    Fault: From<T::Err>,
{
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

/// Reads a UUID.
pub(crate) fn uuid(field: &str, text: &str) -> Result<Uuid, Malformed> {
    text.parse().map_err(|_: uuid::Error| {
        Malformed::new(field, Fault::Uuid(text.chars().take(80).collect()))
    })
}

/// Reads a number into a smaller or unsigned type.
pub(crate) fn number<T, U>(field: &str, number: T) -> Result<U, Malformed>
where
    T: Copy + std::fmt::Display,
    U: TryFrom<T>,
{
    U::try_from(number).map_err(|_| Malformed::new(field, Fault::out_of_range(number)))
}

/// Cuts words of a peer that are kept for people: a record has a bound, and nothing rests on them.
pub(crate) fn cut(mut words: String) -> String {
    if words.len() > WORDS_BYTES_MAX {
        let end = (0..=WORDS_BYTES_MAX).rev().find(|&end| words.is_char_boundary(end));
        words.truncate(end.unwrap_or_default());
    }
    words
}

/// Most bytes of one peer's words that are kept.
const WORDS_BYTES_MAX: usize = 4096;

/// Writes a count into a signed field; what lies beyond its end is shown as its end.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = format!("{}ä", "a".repeat(WORDS_BYTES_MAX - 1));
        assert_eq!(cut(long).len(), WORDS_BYTES_MAX - 1);
    }
}
