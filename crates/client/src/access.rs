//! How a client reaches a coordinator, and how it says who it is.

use std::{fmt, fs, io, path::Path};

use tonic::{
    Request, Status,
    metadata::{AsciiMetadataValue, MetadataValue},
    service::Interceptor,
};
use votum_tls::Dialer;

/// How a client reaches a coordinator, and how it says who it is.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Makes the connections; its certificate says who the client is.
    pub dialer: Dialer,
    /// Says who the client is, too; where both are given, the token counts.
    pub token: Option<Token>,
    /// What the client calls itself where nobody has to prove anything.
    pub user: Option<String>,
}

/// A token; it is not shown anywhere.
#[derive(Clone)]
pub struct Token(AsciiMetadataValue);

impl Token {
    /// Reads the first line of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let no_token = || io::Error::new(io::ErrorKind::InvalidData, "it holds no token");
        Self::new(text.lines().next().unwrap_or_default().trim()).ok_or_else(no_token)
    }

    /// Takes a text; none if it can be no token.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value: AsciiMetadataValue =
            plain.then(|| MetadataValue::try_from(format!("Bearer {text}")).ok()).flatten()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Puts onto every call who makes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Badge {
    token: Option<Token>,
    user: Option<AsciiMetadataValue>,
}

impl Badge {
    /// Says what there is to say; a name that cannot be sent is left out.
    pub(crate) fn of(access: &Access) -> Self {
        let user = access.user.as_deref().and_then(|user| MetadataValue::try_from(user).ok());
        Self { token: access.token.clone(), user }
    }
}

impl Interceptor for Badge {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(Token(value)) = &self.token {
            request.metadata_mut().insert(AUTHORIZATION, value.clone());
        }
        if let Some(user) = &self.user {
            request.metadata_mut().insert(USER, user.clone());
        }
        Ok(request)
    }
}

const AUTHORIZATION: &str = "authorization";
const USER: &str = "votum-user";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_with_the_call_and_into_no_log() {
        let access = Access { token: Token::new("abc123"), ..Access::default() };
        let request = Badge::of(&access).call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get(AUTHORIZATION).unwrap(), "Bearer abc123");
        let shown = format!("{access:?} {:?}", request.metadata());
        assert!(!shown.contains("abc123"), "{shown}");
    }

    #[test]
    fn a_text_with_blanks_is_no_token() {
        assert!(Token::new("abc 123").is_none() && Token::new("").is_none());
    }
}
