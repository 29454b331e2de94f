use std::fmt;

/// A certificate, key, name, pin or file that cannot be used. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsError {
    /// No certificate was given, or the PEM holds none.
    NoCertificate,
    /// The PEM holds no private key that is usable as it stands.
    NoPrivateKey,
    /// PEM that cannot be decoded.
    Pem(String),
    /// A certificate that cannot be parsed.
    Certificate(String),
    /// A private key of an unknown kind, or a broken one.
    PrivateKey(String),
    /// The private key belongs to another certificate.
    KeyMismatch,
    /// A CA set without one usable certificate.
    NoAnchors,
    /// The machine has no trusted roots, or they cannot be read.
    NoSystemRoots(String),
    /// Neither a DNS name nor an IP address.
    Name(String),
    /// Not of the form `sha256-` and 43 characters of base64url.
    Pin(String),
    /// Pin mode without a pin.
    NoPins,
    /// A protocol name that is empty or longer than 255 bytes.
    Alpn(String),
    /// A validity outside 1 to 36,500 days.
    Validity(u32),
    /// The key log file cannot be opened.
    KeyLogFile { path: String, reason: String },
    /// The TLS library refused the configuration.
    Configuration(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => {
                f.write_str("there is no certificate: PEM with BEGIN CERTIFICATE is needed")
            }
            Self::NoPrivateKey => f.write_str(
                "there is no usable private key: PEM with an unencrypted PRIVATE KEY is needed",
            ),
            Self::Pem(reason) => write!(f, "the PEM cannot be decoded: {reason}"),
            Self::Certificate(reason) => write!(f, "the certificate cannot be used: {reason}"),
            Self::PrivateKey(reason) => write!(f, "the private key cannot be used: {reason}"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::NoAnchors => f.write_str("the CA set holds no usable certificate"),
            Self::NoSystemRoots(reason) => write!(
                f,
                "this system has no trusted root certificates ({reason}): \
                 install its CA certificates package, or name a CA file or a pin"
            ),
            Self::Name(name) => write!(f, "{name:?} is neither a DNS name nor an IP address"),
            Self::Pin(pin) => write!(
                f,
                "{pin:?} is not a pin: sha256- and 43 characters of base64url are needed"
            ),
            Self::NoPins => f.write_str("trust by pin needs at least one pin"),
            Self::Alpn(name) => write!(f, "{name:?} is not a protocol name for ALPN"),
            Self::Validity(days) => {
                write!(
                    f,
                    "a certificate cannot be valid for {days} days: 1 to 36500 are possible"
                )
            }
            Self::KeyLogFile { path, reason } => {
                write!(f, "the TLS key log {path:?} cannot be opened: {reason}")
            }
            Self::Configuration(reason) => write!(f, "the TLS configuration is refused: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {}
