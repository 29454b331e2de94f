use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::{CertificateAndKey, certified_key};
use super::error::TlsError;
use super::provider::provider;

/// Certificates by the DNS names in them. The first certificate is the default.
struct Table {
    first: Arc<CertifiedKey>,
    /// Lower-case names; a wildcard under the name that follows its `*.`.
    exact: HashMap<String, Arc<CertifiedKey>>,
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Table {
    fn new(pairs: &[CertificateAndKey], provider: &CryptoProvider) -> Result<Self, TlsError> {
        let keys = pairs
            .iter()
            .map(|pair| certified_key(pair, provider))
            .collect::<Result<Vec<_>, _>>()?;
        let mut table = Self {
            first: Arc::clone(keys.first().ok_or(TlsError::NoCertificate)?),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for key in &keys {
            table.add(key)?;
        }
        Ok(table)
    }

    /// Where two certificates have the same name, the earlier one keeps it.
    fn add(&mut self, key: &Arc<CertifiedKey>) -> Result<(), TlsError> {
        let unusable = |reason: String| TlsError::Certificate(reason);
        let leaf = key
            .end_entity_cert()
            .map_err(|error| unusable(error.to_string()))?;
        let parsed =
            webpki::EndEntityCert::try_from(leaf).map_err(|error| unusable(error.to_string()))?;
        for name in parsed.valid_dns_names() {
            let name = name.to_ascii_lowercase();
            let (names, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent.to_owned()),
                None => (&mut self.exact, name),
            };
            names.entry(name).or_insert_with(|| Arc::clone(key));
        }
        Ok(())
    }

    /// A wildcard stands for one label (RFC 9525 section 6.3); an exact name goes before it.
    fn choose(&self, server_name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = server_name.map(str::to_ascii_lowercase) else {
            return &self.first;
        };
        let by_wildcard = || {
            name.split_once('.')
                .and_then(|(_, parent)| self.wildcard.get(parent))
        };
        self.exact
            .get(&name)
            .or_else(by_wildcard)
            .unwrap_or(&self.first)
    }
}

/// Chooses the certificate of a handshake by the server name that the client asks for.
pub struct CertificateResolver {
    provider: Arc<CryptoProvider>,
    table: RwLock<Arc<Table>>,
}

impl CertificateResolver {
    pub(super) fn new(pairs: &[CertificateAndKey]) -> Result<Self, TlsError> {
        let provider = provider();
        let table = RwLock::new(Arc::new(Table::new(pairs, &provider)?));
        Ok(Self { provider, table })
    }

    /// Replaces all certificates, for handshakes from now on. On an error the old ones stay.
    pub fn replace(&self, pairs: Vec<CertificateAndKey>) -> Result<(), TlsError> {
        let table = Arc::new(Table::new(&pairs, &self.provider)?);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    fn choose(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(table.choose(server_name))
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()))
    }
}

impl fmt::Debug for CertificateResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateResolver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::test_certificates::{pair, self_signed_pair};

    fn leaf(key: &CertifiedKey) -> &[u8] {
        key.cert[0].as_ref()
    }

    #[test]
    fn chooses_by_name_then_wildcard_then_first() {
        let resolver = CertificateResolver::new(&[
            self_signed_pair(&["first.example"]),
            self_signed_pair(&["*.b.example"]),
            self_signed_pair(&["Exact.b.example", "first.example"]),
        ])
        .expect("usable");
        let of = |name: Option<&str>| leaf(&resolver.choose(name)).to_vec();
        let (first, wildcard, exact) = (
            of(None),
            of(Some("x.b.example")),
            of(Some("exact.b.example")),
        );
        assert!(first != wildcard && wildcard != exact && exact != first);
        assert_eq!(of(Some("first.example")), first);
        assert_eq!(of(Some("unknown.example")), first);
        assert_eq!(of(Some("EXACT.B.example")), exact);
        assert_eq!(of(Some("b.example")), first);
        assert_eq!(of(Some("a.x.b.example")), first);
    }

    #[test]
    fn refuses_a_key_of_another_certificate_and_keeps_the_old_ones() {
        let (one, other) = (
            self_signed_pair(&["a.example"]),
            self_signed_pair(&["b.example"]),
        );
        let resolver = CertificateResolver::new(std::slice::from_ref(&one)).expect("usable");
        let before = leaf(&resolver.choose(None)).to_vec();
        let mixed = pair(&one.cert, &other.key);
        assert_eq!(resolver.replace(vec![mixed]), Err(TlsError::KeyMismatch));
        assert_eq!(resolver.replace(vec![]), Err(TlsError::NoCertificate));
        assert_eq!(leaf(&resolver.choose(None)), before);
        resolver.replace(vec![other]).expect("usable");
        assert_ne!(leaf(&resolver.choose(None)), before);
    }

    #[test]
    fn tells_what_is_wrong_with_the_input() {
        let good = self_signed_pair(&["a.example"]);
        let of = |cert: &[u8], key: &[u8]| CertificateResolver::new(&[pair(cert, key)]).err();
        assert_eq!(of(b"", &good.key), Some(TlsError::NoCertificate));
        assert_eq!(of(&good.cert, b""), Some(TlsError::NoPrivateKey));
        assert_eq!(of(&good.cert, &good.cert), Some(TlsError::NoPrivateKey));
        let broken = b"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            of(broken, &good.key),
            Some(TlsError::Certificate(_))
        ));
        let torn = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(of(torn, &good.key), Some(TlsError::Pem(_))));
    }
}
