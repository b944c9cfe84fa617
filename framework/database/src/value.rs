//! The values that a statement can be given.

/// One argument of a statement. Nulls carry their type, because Postgres wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A `BIGINT`.
    Int(i64),
    /// A `TEXT`.
    Text(String),
    /// A `BLOB`.
    Blob(Vec<u8>),
    /// No number.
    NullInt,
    /// No text.
    NullText,
    /// No bytes.
    NullBlob,
    /// A list for `= ANY(...)`.
    Ints(Vec<i64>),
    /// A list for `= ANY(...)`.
    Texts(Vec<String>),
}

/// Makes the list of arguments of a statement: `args![room, "name", vec![1, 2]]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

macro_rules! from {
    ($($type:ty => |$value:ident| $body:expr;)*) => {
        $(impl From<$type> for Value { fn from($value: $type) -> Self { $body } })*
    };
}

from! {
    i64 => |v| Self::Int(v);
    i32 => |v| Self::Int(v.into());
    u32 => |v| Self::Int(v.into());
    bool => |v| Self::Int(v.into());
    String => |v| Self::Text(v);
    &String => |v| Self::Text(v.clone());
    &str => |v| Self::Text(v.to_owned());
    Vec<u8> => |v| Self::Blob(v);
    &[u8] => |v| Self::Blob(v.to_vec());
    &Vec<u8> => |v| Self::Blob(v.clone());
    Vec<i64> => |v| Self::Ints(v);
    &[i64] => |v| Self::Ints(v.to_vec());
    Vec<String> => |v| Self::Texts(v);
    Option<i64> => |v| v.map_or(Self::NullInt, Self::Int);
    Option<String> => |v| v.map_or(Self::NullText, Self::Text);
    Option<&str> => |v| v.map_or(Self::NullText, |t| Self::Text(t.to_owned()));
    Option<Vec<u8>> => |v| v.map_or(Self::NullBlob, Self::Blob);
    Option<&[u8]> => |v| v.map_or(Self::NullBlob, |b| Self::Blob(b.to_vec()));
}
