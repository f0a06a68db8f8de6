//! The bytes of an artifact: header, checksum, JSON.

use sha2::{Digest, Sha256};

use super::Artifact;

/// The first word of every artifact.
const MAGIC: &str = "tally-model";
/// The format that this version writes and reads.
const FORMAT: &str = "1";
/// The greatest artifact that is read, in bytes.
pub const LARGEST: usize = 64 << 20;

/// Why bytes are not a model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArtifactError {
    /// The header is missing, or that of another format.
    #[error("not a model of format {FORMAT}")]
    Format,
    /// Too many bytes.
    #[error("larger than {LARGEST} bytes")]
    TooLarge,
    /// The content does not match its digest.
    #[error("damaged: the checksum does not match")]
    Checksum,
    /// The golden rows do not score what they scored where the model was written.
    #[error("this program computes other scores from it than the one that wrote it")]
    Golden,
    /// The content breaks a rule.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl Artifact {
    /// The bytes to store.
    ///
    /// # Errors
    /// [`ArtifactError::Invalid`] when a number is not finite or a length does not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        self.validate()?;
        let invalid = |error: serde_json::Error| ArtifactError::Invalid(error.to_string());
        let body = serde_json::to_vec(self).map_err(invalid)?;
        let mut bytes = format!("{MAGIC} {FORMAT} {}\n", digest(&body)).into_bytes();
        bytes.extend(body);
        if bytes.len() > LARGEST { Err(ArtifactError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads and validates stored bytes.
    ///
    /// # Errors
    /// [`ArtifactError`] when they are not exactly what [`Artifact::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        if bytes.len() > LARGEST {
            return Err(ArtifactError::TooLarge);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(ArtifactError::Format)?;
        let header = std::str::from_utf8(&bytes[..end]).map_err(|_| ArtifactError::Format)?;
        let body = &bytes[end + 1..];
        let prefix = format!("{MAGIC} {FORMAT} ");
        let checksum = header.strip_prefix(&prefix).ok_or(ArtifactError::Format)?;
        if digest(body) != checksum {
            return Err(ArtifactError::Checksum);
        }
        let artifact: Self =
            serde_json::from_slice(body).map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        artifact.validate()?;
        Ok(artifact)
    }
}

/// Many numbers as the base64 of their little-endian bytes.
pub(super) mod base64 {
    use ::base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(numbers: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if rest.is_empty() {
            Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        } else {
            Err(D::Error::custom("not a whole number of 4-byte numbers"))
        }
    }
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
