//! Values that must not be seen: provider keys, and the tokens of the operator's side.

use std::io;
use std::path::Path;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret's value: it can be put into a header and compared in constant time, and neither printed nor copied.
pub(crate) struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Reads a secret from its file; white space at its end is not part of it.
    ///
    /// # Errors
    /// Where the file cannot be read, or is empty.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new(std::fs::read(path)?);
        while bytes.last().is_some_and(u8::is_ascii_whitespace) {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Self(bytes))
    }

    /// Lets `look` see the bytes.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0)
    }

    /// Returns whether these bytes are the secret, in a time that does not depend on where they differ.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}
