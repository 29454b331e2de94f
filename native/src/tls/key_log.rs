use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{KeyLog, NoKeyLog};

use super::error::TlsError;

/// Appends TLS secrets to a file in the NSS key log format (RFC 9850), readable by its owner only.
struct KeyLogTo {
    file: Mutex<File>,
}

impl KeyLog for KeyLogTo {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line =
            String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing to a String cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // One write for each line, so that lines of several processes do not mix. A full disk must
        // not end a connection.
        let _ = self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes());
    }
}

impl fmt::Debug for KeyLogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogTo")
    }
}

/// The key log for this path; none logs nothing, whatever the environment says.
pub(super) fn key_log(path: Option<&str>) -> Result<Arc<dyn KeyLog>, TlsError> {
    let Some(path) = path else {
        return Ok(Arc::new(NoKeyLog {}));
    };
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(Path::new(path)) {
        Ok(file) => Ok(Arc::new(KeyLogTo {
            file: Mutex::new(file),
        })),
        Err(error) => Err(TlsError::KeyLogFile {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_lines_to_a_file_of_the_owner() {
        let path = std::env::temp_dir().join(format!("tls-key-log-{}", std::process::id()));
        let text = path.to_str().expect("UTF-8");
        let _ = std::fs::remove_file(&path);
        for secret in [[0xab_u8], [0x01]] {
            key_log(Some(text))
                .expect("opened")
                .log("LABEL", &[1, 2], &secret);
        }
        assert_eq!(
            std::fs::read_to_string(&path).expect("written"),
            "LABEL 0102 ab\nLABEL 0102 01\n"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn tells_a_path_that_cannot_be_opened() {
        let error = key_log(Some("/nowhere/at/all")).expect_err("refused");
        assert!(error.to_string().contains("/nowhere/at/all"));
    }
}
