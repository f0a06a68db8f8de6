//! Moments as microseconds since 1970.

use sqlx::{
    Decode, Encode, Sqlite as Database, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use tally_model::time::Time;

use crate::shared::{Stamp, Stamps, json::to_json};

impl Type<Database> for Stamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Database>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Database>>::compatible(ty)
    }
}

impl Encode<'_, Database> for Stamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Database>>::encode_by_ref(&self.0.0, buffer)
    }
}

impl Type<Database> for Stamps {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Database>>::type_info()
    }
}

impl Encode<'_, Database> for Stamps {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'_, Database>>::encode(to_json(&self.0)?, buffer)
    }
}

impl<'r> Decode<'r, Database> for Stamp {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Time(<i64 as Decode<'r, Database>>::decode(value)?)))
    }
}
