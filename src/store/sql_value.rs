//! The values that a statement may carry: the SQL types that the store uses, and arrays of them.

use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, SmallInt, Text, Uuid};
use std::hash::{Hash, Hasher};

/// A value of one of the SQL types that the store uses.
pub(super) enum Value {
    Long(Option<i64>),
    Int(Option<i32>),
    Short(Option<i16>),
    Double(Option<f64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<uuid::Uuid>),
    LongArray(Vec<i64>),
    LongOrNullArray(Vec<Option<i64>>),
    IntArray(Vec<i32>),
    IntOrNullArray(Vec<Option<i32>>),
    ShortArray(Vec<i16>),
    DoubleArray(Vec<f64>),
    DoubleOrNullArray(Vec<Option<f64>>),
    TextArray(Vec<String>),
    TextOrNullArray(Vec<Option<String>>),
    BytesArray(Vec<Vec<u8>>),
    BytesOrNullArray(Vec<Option<Vec<u8>>>),
    UuidArray(Vec<uuid::Uuid>),
    UuidOrNullArray(Vec<Option<uuid::Uuid>>),
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Value::Long(it) => it.hash(hasher),
            Value::Int(it) => it.hash(hasher),
            Value::Short(it) => it.hash(hasher),
            Value::Double(it) => it.map(f64::to_bits).hash(hasher),
            Value::Bool(it) => it.hash(hasher),
            Value::Text(it) => it.hash(hasher),
            Value::Bytes(it) => it.hash(hasher),
            Value::Uuid(it) => it.hash(hasher),
            Value::LongArray(it) => it.hash(hasher),
            Value::LongOrNullArray(it) => it.hash(hasher),
            Value::IntArray(it) => it.hash(hasher),
            Value::IntOrNullArray(it) => it.hash(hasher),
            Value::ShortArray(it) => it.hash(hasher),
            Value::DoubleArray(it) => it.iter().for_each(|it| it.to_bits().hash(hasher)),
            Value::DoubleOrNullArray(it) => it.iter().for_each(|it| it.map(f64::to_bits).hash(hasher)),
            Value::TextArray(it) => it.hash(hasher),
            Value::TextOrNullArray(it) => it.hash(hasher),
            Value::BytesArray(it) => it.hash(hasher),
            Value::BytesOrNullArray(it) => it.hash(hasher),
            Value::UuidArray(it) => it.hash(hasher),
            Value::UuidOrNullArray(it) => it.hash(hasher),
        }
    }
}

impl Value {
    pub(super) fn push<'b>(&'b self, pass: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Value::Long(it) => pass.push_bind_param::<Nullable<BigInt>, Option<i64>>(it),
            Value::Int(it) => pass.push_bind_param::<Nullable<Integer>, Option<i32>>(it),
            Value::Short(it) => pass.push_bind_param::<Nullable<SmallInt>, Option<i16>>(it),
            Value::Double(it) => pass.push_bind_param::<Nullable<Double>, Option<f64>>(it),
            Value::Bool(it) => pass.push_bind_param::<Nullable<Bool>, Option<bool>>(it),
            Value::Text(it) => pass.push_bind_param::<Nullable<Text>, Option<String>>(it),
            Value::Bytes(it) => pass.push_bind_param::<Nullable<Binary>, Option<Vec<u8>>>(it),
            Value::Uuid(it) => pass.push_bind_param::<Nullable<Uuid>, Option<uuid::Uuid>>(it),
            Value::LongArray(it) => pass.push_bind_param::<Array<BigInt>, Vec<i64>>(it),
            Value::LongOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<BigInt>>, Vec<Option<i64>>>(it)
            }
            Value::IntArray(it) => pass.push_bind_param::<Array<Integer>, Vec<i32>>(it),
            Value::IntOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<Integer>>, Vec<Option<i32>>>(it)
            }
            Value::ShortArray(it) => pass.push_bind_param::<Array<SmallInt>, Vec<i16>>(it),
            Value::DoubleArray(it) => pass.push_bind_param::<Array<Double>, Vec<f64>>(it),
            Value::DoubleOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<Double>>, Vec<Option<f64>>>(it)
            }
            Value::TextArray(it) => pass.push_bind_param::<Array<Text>, Vec<String>>(it),
            Value::TextOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<Text>>, Vec<Option<String>>>(it)
            }
            Value::BytesArray(it) => pass.push_bind_param::<Array<Binary>, Vec<Vec<u8>>>(it),
            Value::BytesOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<Binary>>, Vec<Option<Vec<u8>>>>(it)
            }
            Value::UuidArray(it) => pass.push_bind_param::<Array<Uuid>, Vec<uuid::Uuid>>(it),
            Value::UuidOrNullArray(it) => {
                pass.push_bind_param::<Array<Nullable<Uuid>>, Vec<Option<uuid::Uuid>>>(it)
            }
        }
    }
}

impl From<i64> for Value {
    fn from(it: i64) -> Value {
        Value::Long(Some(it))
    }
}

impl From<Option<i64>> for Value {
    fn from(it: Option<i64>) -> Value {
        Value::Long(it)
    }
}

impl From<i32> for Value {
    fn from(it: i32) -> Value {
        Value::Int(Some(it))
    }
}

impl From<Option<i32>> for Value {
    fn from(it: Option<i32>) -> Value {
        Value::Int(it)
    }
}

impl From<i16> for Value {
    fn from(it: i16) -> Value {
        Value::Short(Some(it))
    }
}

impl From<Option<i16>> for Value {
    fn from(it: Option<i16>) -> Value {
        Value::Short(it)
    }
}

impl From<f64> for Value {
    fn from(it: f64) -> Value {
        Value::Double(Some(it))
    }
}

impl From<Option<f64>> for Value {
    fn from(it: Option<f64>) -> Value {
        Value::Double(it)
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Value {
        Value::Bool(Some(it))
    }
}

impl From<Option<bool>> for Value {
    fn from(it: Option<bool>) -> Value {
        Value::Bool(it)
    }
}

impl From<String> for Value {
    fn from(it: String) -> Value {
        Value::Text(Some(it))
    }
}

impl From<Option<String>> for Value {
    fn from(it: Option<String>) -> Value {
        Value::Text(it)
    }
}

impl From<Vec<u8>> for Value {
    fn from(it: Vec<u8>) -> Value {
        Value::Bytes(Some(it))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(it: Option<Vec<u8>>) -> Value {
        Value::Bytes(it)
    }
}

impl From<uuid::Uuid> for Value {
    fn from(it: uuid::Uuid) -> Value {
        Value::Uuid(Some(it))
    }
}

impl From<Option<uuid::Uuid>> for Value {
    fn from(it: Option<uuid::Uuid>) -> Value {
        Value::Uuid(it)
    }
}

impl From<Vec<i64>> for Value {
    fn from(it: Vec<i64>) -> Value {
        Value::LongArray(it)
    }
}

impl From<Vec<Option<i64>>> for Value {
    fn from(it: Vec<Option<i64>>) -> Value {
        Value::LongOrNullArray(it)
    }
}

impl From<Vec<i32>> for Value {
    fn from(it: Vec<i32>) -> Value {
        Value::IntArray(it)
    }
}

impl From<Vec<Option<i32>>> for Value {
    fn from(it: Vec<Option<i32>>) -> Value {
        Value::IntOrNullArray(it)
    }
}

impl From<Vec<i16>> for Value {
    fn from(it: Vec<i16>) -> Value {
        Value::ShortArray(it)
    }
}

impl From<Vec<f64>> for Value {
    fn from(it: Vec<f64>) -> Value {
        Value::DoubleArray(it)
    }
}

impl From<Vec<Option<f64>>> for Value {
    fn from(it: Vec<Option<f64>>) -> Value {
        Value::DoubleOrNullArray(it)
    }
}

impl From<Vec<String>> for Value {
    fn from(it: Vec<String>) -> Value {
        Value::TextArray(it)
    }
}

impl From<Vec<Option<String>>> for Value {
    fn from(it: Vec<Option<String>>) -> Value {
        Value::TextOrNullArray(it)
    }
}

impl From<Vec<Vec<u8>>> for Value {
    fn from(it: Vec<Vec<u8>>) -> Value {
        Value::BytesArray(it)
    }
}

impl From<Vec<Option<Vec<u8>>>> for Value {
    fn from(it: Vec<Option<Vec<u8>>>) -> Value {
        Value::BytesOrNullArray(it)
    }
}

impl From<Vec<uuid::Uuid>> for Value {
    fn from(it: Vec<uuid::Uuid>) -> Value {
        Value::UuidArray(it)
    }
}

impl From<Vec<Option<uuid::Uuid>>> for Value {
    fn from(it: Vec<Option<uuid::Uuid>>) -> Value {
        Value::UuidOrNullArray(it)
    }
}

impl From<&str> for Value {
    fn from(it: &str) -> Value {
        Value::Text(Some(it.to_owned()))
    }
}
