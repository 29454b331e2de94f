use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::CertificateError;

use super::anchors::is_ca_as_end_entity;

/// Why a server's certificate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateProblem {
    UnknownIssuer,
    NameMismatch,
    Expired,
    NotYetValid,
    PinMismatch,
    Revoked,
    Malformed,
    Other,
}

impl CertificateProblem {
    /// The name that the TypeScript side has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "unknown-issuer",
            Self::NameMismatch => "name-mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::PinMismatch => "pin-mismatch",
            Self::Revoked => "revoked",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    pub(super) fn of(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(error) = error else {
            return Self::Other;
        };
        match error {
            // A bad signature: the issuer's name is known, its key is not; a remade self-signed
            // certificate shows that, or a root of the same name with a key of another kind.
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::UnknownIssuer
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::NameMismatch
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadEncoding | CertificateError::UnhandledCriticalExtension => {
                Self::Malformed
            }
            error if is_ca_as_end_entity(error) => Self::UnknownIssuer,
            _ => Self::Other,
        }
    }
}

/// The refusal in words; rustls shows what it knows of the keys as bytes, which say nothing to a person.
pub(super) fn reason_of(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => "its issuer has the name of a known one, and a key of another kind".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub problem: CertificateProblem,
    /// The pin of the certificate seen; empty when it cannot be parsed.
    pub pin: String,
    /// For a person.
    pub reason: String,
}

/// What the check of a server's certificate said; one for each connection.
#[derive(Debug, Default)]
pub struct Verdict {
    refusal: Mutex<Option<Refusal>>,
}

impl Verdict {
    /// The refusal, if the certificate was seen and refused.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }
}
