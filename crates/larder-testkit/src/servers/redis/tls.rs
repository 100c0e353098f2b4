//! A certificate authority and a server certificate that live as long as one test.
//!
//! Nodes that speak TLS with each other use them too.
//!
//! Made by the `openssl` command with a configuration of our own: what the system's has differs
//! between distributions. Both certificates are X.509 v3 with the extensions that strict clients
//! ask for: an authority that says so, and a server that names `localhost` and 127.0.0.1.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tools;

pub(super) const CA_PEM: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER_PEM: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = Larder test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

/// Makes an authority and a certificate for `localhost` and 127.0.0.1 in `dir`, which is good for
/// both ends of a connection: `ca.pem`, `server.pem` and `server.key`.
///
/// # Errors
///
/// If `openssl` is missing or fails.
pub fn make_certificates(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("openssl.cnf"), CONFIG)?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf";
    let steps = [
        format!("req -x509 -days 2 -extensions authority {key} -keyout {CA_KEY} -out {CA_PEM}"),
        format!("req -new -subj /CN=localhost {key} -keyout {SERVER_KEY} -out server.csr"),
        format!(
            "x509 -req -days 2 -in server.csr -CA {CA_PEM} -CAkey {CA_KEY} -set_serial 2 \
             -extfile openssl.cnf -extensions server -out {SERVER_PEM}"
        ),
    ];
    steps.iter().try_for_each(|step| openssl(dir, step))
}

/// Returns the arguments that make a server listen with TLS on `port`.
pub(super) fn arguments(port: u16) -> Vec<String> {
    let port = port.to_string();
    let arguments = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        SERVER_PEM,
        "--tls-key-file",
        SERVER_KEY,
        "--tls-ca-cert-file",
        CA_PEM,
        "--tls-auth-clients",
        "no",
    ];
    arguments.map(str::to_owned).into()
}

fn openssl(dir: &Path, arguments: &str) -> io::Result<()> {
    let program = tools::openssl().map_err(io::Error::other)?;
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("openssl {arguments}: {stderr}")))
}
