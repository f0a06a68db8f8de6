//! Moments as TIMESTAMPTZ.

use sqlx::{
    Decode, Encode, Postgres as Database, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid},
};

use super::binary;
use crate::shared::{Stamp, Stamps};

/// The type number of TIMESTAMPTZ.
const TIMESTAMPTZ: Oid = Oid(1184);
/// The type number of its arrays.
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

impl Type<Database> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Database> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&binary::micros(self.0));
        Ok(IsNull::No)
    }
}

impl Type<Database> for Stamps {
    fn type_info() -> PgTypeInfo {
        Stamp::array_type_info()
    }
}

impl Encode<'_, Database> for Stamps {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let stamps: Vec<Stamp> = self.0.iter().copied().map(Stamp).collect();
        <Vec<Stamp> as Encode<'_, Database>>::encode_by_ref(&stamps, buffer)
    }
}

impl Decode<'_, Database> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a moment came as text".into());
        }
        Ok(Self(binary::time(value.as_bytes()?)?))
    }
}
