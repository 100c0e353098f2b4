//! Recognises peers that speak another protocol.
//!
//! A web page can make a browser post to any port. If the headers were run as unknown commands and
//! skipped, the body would be run as commands, so an HTTP request must end the connection.

/// Methods a request line may start with. `POST` needs no request line to be recognised.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"PRI",
];

/// Returns whether an inline command is really a line of an HTTP request.
///
/// `GET key` is a command; `GET /index.html HTTP/1.1` is not. `POST` and `Host:` are no commands in
/// any case, so their first word is enough.
pub(super) fn is_http(line: &[u8]) -> bool {
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return false;
    };
    if first.eq_ignore_ascii_case(b"POST") || first.eq_ignore_ascii_case(b"HOST:") {
        return true;
    }
    METHODS.contains(&first) && words.count() == 2 && {
        let version = line.trim_ascii_end().rsplit(|&byte| byte == b' ').next();
        matches!(version, Some([b'H', b'T', b'T', b'P', b'/', b'1' | b'2', b'.', minor])
            if minor.is_ascii_digit())
    }
}

/// Returns whether the bytes start as a TLS handshake record does.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x16, 0x03])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_told_from_commands() {
        let http = [
            "GET / HTTP/1.1\r\n",
            "GET /a HTTP/1.0",
            "PRI * HTTP/2.0\r\n",
            "DELETE /a HTTP/1.1",
            "POST / HTTP/1.1",
            "post",
            "Host: localhost:6379",
            "host:",
        ];
        for line in http {
            assert!(is_http(line.as_bytes()), "{line}");
        }
        let commands = [
            "",
            "GET key",
            "GET HTTP/1.1",
            "get / HTTP/1.1",
            "SET key HTTP/1.1",
            "GET a b HTTP/1.1",
            "GET / HTTP/1.",
            "GET / HTTP/3",
            "POSTAGE",
            "HOST",
        ];
        for line in commands {
            assert!(!is_http(line.as_bytes()), "{line}");
        }
    }
}
