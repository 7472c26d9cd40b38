//! Bencode, in which NG messages are written: integers `i42e`, strings `4:spam`, lists `l…e`, dictionaries `d…e`.

/// Nothing NG sends is nested deeper, nor made of more values.
const DEEPEST: usize = 16;
const MOST_VALUES: usize = 65_536;

/// A value, its strings in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer.
    Int(i64),
    /// A string, of any bytes.
    Bytes(&'a [u8]),
    /// A list.
    List(Vec<Value<'a>>),
    /// A dictionary, in the order received.
    Dict(Vec<(&'a [u8], Value<'a>)>),
}

/// An error in bencode, with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BencodeError {
    /// They end too early.
    #[error("bencode ends in the middle of a value")]
    Truncated,
    /// This byte begins no value, or ends none.
    #[error("bencode has a wrong byte at {0}")]
    Unexpected(usize),
    /// A number is too large.
    #[error("bencode has too large a number at {0}")]
    TooLarge(usize),
    /// Too many values, or too deep.
    #[error("bencode is nested deeper than 16, or has more than 65536 values")]
    TooMuch,
}

impl<'a> Value<'a> {
    /// Reads one value that fills all the bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Value<'a>, BencodeError> {
        let mut reader = BencodeReader { bytes, at: 0, values: 0 };
        let value = reader.value(0)?;
        if reader.at == bytes.len() { Ok(value) } else { Err(BencodeError::Unexpected(reader.at)) }
    }

    /// Appends the value; the keys of dictionaries are sorted, as the format asks.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Int(n) => out.extend_from_slice(format!("i{n}e").as_bytes()),
            Value::Bytes(text) => put_string(text, out),
            Value::List(values) => {
                out.push(b'l');
                values.iter().for_each(|v| v.encode(out));
                out.push(b'e');
            }
            Value::Dict(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by_key(|(key, _)| *key);
                out.push(b'd');
                for (key, value) in sorted {
                    put_string(key, out);
                    value.encode(out);
                }
                out.push(b'e');
            }
        }
    }

    /// The string under a key of a dictionary.
    pub fn text(&self, key: &str) -> Option<&'a [u8]> {
        match self.get(key) {
            Some(Value::Bytes(text)) => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        let Value::Dict(entries) = self else { return None };
        entries.iter().find(|(k, _)| *k == key.as_bytes()).map(|(_, v)| v)
    }
}

fn put_string(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

struct BencodeReader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> BencodeReader<'a> {
    fn peek(&self) -> Result<u8, BencodeError> {
        self.bytes.get(self.at).copied().ok_or(BencodeError::Truncated)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, BencodeError> {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return Err(BencodeError::TooMuch);
        }
        match self.peek()? {
            b'i' => {
                self.at += 1;
                let negative = self.peek()? == b'-';
                self.at += usize::from(negative);
                let begin = self.at;
                let n = self.number(b'e')?;
                let n = i64::try_from(n).map_err(|_| BencodeError::TooLarge(begin))?;
                Ok(Value::Int(if negative { -n } else { n }))
            }
            b'0'..=b'9' => Ok(Value::Bytes(self.string()?)),
            b'l' => {
                self.at += 1;
                let mut values = Vec::new();
                while self.peek()? != b'e' {
                    values.push(self.value(depth + 1)?);
                }
                self.at += 1;
                Ok(Value::List(values))
            }
            b'd' => {
                self.at += 1;
                let mut entries = Vec::new();
                while self.peek()? != b'e' {
                    let key = self.string()?;
                    entries.push((key, self.value(depth + 1)?));
                }
                self.at += 1;
                Ok(Value::Dict(entries))
            }
            _ => Err(BencodeError::Unexpected(self.at)),
        }
    }

    fn string(&mut self) -> Result<&'a [u8], BencodeError> {
        let begin = self.at;
        let length = self.number(b':')?;
        let length = usize::try_from(length).map_err(|_| BencodeError::TooLarge(begin))?;
        let end = self.at.checked_add(length).ok_or(BencodeError::TooLarge(begin))?;
        let text = self.bytes.get(self.at..end).ok_or(BencodeError::Truncated)?;
        self.at = end;
        Ok(text)
    }

    /// Digits, at least one, and the byte that ends them.
    fn number(&mut self, end: u8) -> Result<u64, BencodeError> {
        let begin = self.at;
        let mut n: u64 = 0;
        loop {
            match self.peek()? {
                digit @ b'0'..=b'9' => {
                    n = n
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(u64::from(digit - b'0')))
                        .ok_or(BencodeError::TooLarge(begin))?;
                    self.at += 1;
                }
                byte if byte == end && self.at > begin => {
                    self.at += 1;
                    return Ok(n);
                }
                _ => return Err(BencodeError::Unexpected(self.at)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A value that owns its strings, for generation.
    #[derive(Clone, Debug)]
    enum Owned {
        Int(i64),
        Bytes(Vec<u8>),
        List(Vec<Owned>),
        Dict(std::collections::BTreeMap<Vec<u8>, Owned>),
    }

    impl Owned {
        fn view(&self) -> Value<'_> {
            match self {
                Owned::Int(n) => Value::Int(*n),
                Owned::Bytes(b) => Value::Bytes(b),
                Owned::List(l) => Value::List(l.iter().map(Owned::view).collect()),
                Owned::Dict(d) => Value::Dict(d.iter().map(|(k, v)| (k.as_slice(), v.view())).collect()),
            }
        }
    }

    fn values() -> impl Strategy<Value = Owned> {
        let leaf = prop_oneof![
            (-i64::MAX..=i64::MAX).prop_map(Owned::Int),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Bytes),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Owned::List),
                prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..9), inner, 0..6)
                    .prop_map(Owned::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in values()) {
            let mut bytes = Vec::new();
            value.view().encode(&mut bytes);
            prop_assert_eq!(Value::decode(&bytes), Ok(value.view()));
            for end in 0..bytes.len() {
                prop_assert!(Value::decode(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(
            prop_oneof![Just(b'd'), Just(b'l'), Just(b'i'), Just(b'e'), Just(b':'), b'0'..=b'9', any::<u8>()], 0..200)) {
            if let Ok(value) = Value::decode(&bytes) {
                let mut again = Vec::new();
                value.encode(&mut again);
                prop_assert!(Value::decode(&again).is_ok());
            }
        }
    }

    #[test]
    fn bounds() {
        assert_eq!(Value::decode(b"99999999999999999999:"), Err(BencodeError::TooLarge(0)));
        assert_eq!(Value::decode(b"18446744073709551615:"), Err(BencodeError::TooLarge(0)));
        assert_eq!(Value::decode(b"i9223372036854775808e"), Err(BencodeError::TooLarge(1)));
        assert_eq!(Value::decode(b"9:abc"), Err(BencodeError::Truncated));
        assert_eq!(Value::decode(b"ie"), Err(BencodeError::Unexpected(1)));
        assert_eq!(Value::decode(b"i1ex"), Err(BencodeError::Unexpected(3)));
        assert_eq!(Value::decode(b"di1e1:ae"), Err(BencodeError::Unexpected(1)));
        assert_eq!(Value::decode(&vec![b'l'; 100_000]), Err(BencodeError::TooMuch));
        let wide = [b"l".as_slice(), &b"0:".repeat(70_000), b"e"].concat();
        assert_eq!(Value::decode(&wide), Err(BencodeError::TooMuch));
    }

    #[test]
    fn dictionaries_are_sorted_and_searched() {
        let mut out = Vec::new();
        Value::Dict(vec![(b"b", Value::Int(-2)), (b"a", Value::Bytes(b"x"))]).encode(&mut out);
        assert_eq!(out, b"d1:a1:x1:bi-2ee");
        let value = Value::decode(&out).unwrap();
        assert_eq!(value.text("a"), Some(b"x".as_slice()));
        assert_eq!(value.get("b"), Some(&Value::Int(-2)));
        assert_eq!((value.text("b"), value.text("c")), (None, None));
    }
}
