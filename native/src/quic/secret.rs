//! Keys of an endpoint that follow from a secret, and so are the same after a restart: those of stateless resets
//! (RFC 9000 section 10.3), of connection ids, and of Retry tokens.

use std::net::SocketAddr;

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// A secret has at least so many bytes.
const LEAST: usize = 32;

pub struct Secret(Vec<u8>);

pub struct EndpointKeys {
    pub reset: ring::hmac::Key,
    /// Marks the endpoint's connection ids, so that it knows them again; no secret.
    pub connection_ids: u64,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Secret {
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < LEAST {
            return Err(format!("a secret has at least {LEAST} bytes"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// For a process that has none to keep.
    pub fn random() -> Self {
        use ring::rand::SecureRandom;
        let mut bytes = vec![0; 64];
        // Without randomness of the system nothing else works either; the keys are then merely weak.
        let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
        Self(bytes)
    }

    fn derive(&self, purpose: &[u8]) -> Prk {
        Salt::new(HKDF_SHA256, purpose).extract(&self.0)
    }

    /// The key of Retry tokens.
    pub fn token_key(&self) -> Prk {
        self.derive(b"bauta quic token")
    }

    /// The keys of one endpoint. Those of resets differ with the address: with one key for two endpoints, either
    /// would give away the other's reset tokens (RFC 9000 section 21.11).
    pub fn endpoint_keys(&self, local: SocketAddr) -> EndpointKeys {
        let address = local.to_string();
        let prk = self.derive(b"bauta quic endpoint");
        let mut reset = [0; 64];
        let mut ids = [0; 8];
        for (part, out) in [(&b"reset"[..], &mut reset[..]), (&b"ids"[..], &mut ids[..])] {
            let info = [part, address.as_bytes()];
            prk.expand(&info, Length(out.len()))
                .and_then(|okm| okm.fill(out))
                .expect("far less than HKDF can give");
        }
        EndpointKeys {
            reset: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &reset),
            connection_ids: u64::from_le_bytes(ids),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_from_secret_and_address() {
        let of = |secret: u8, port: u16| {
            let secret = Secret::new(&[secret; 32]).expect("long enough");
            let keys = secret.endpoint_keys(([127, 0, 0, 1], port).into());
            let token = ring::hmac::sign(&keys.reset, b"an id");
            (token.as_ref().to_vec(), keys.connection_ids)
        };
        assert_eq!(of(1, 443), of(1, 443));
        assert_ne!(of(1, 443).0, of(1, 444).0);
        assert_ne!(of(1, 443).1, of(2, 443).1);
        assert!(Secret::new(&[1; 31]).is_err());
    }
}
