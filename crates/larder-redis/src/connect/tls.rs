//! TLS with aws-lc-rs, given explicitly: the process-wide default provider is neither needed nor
//! touched, so a program that uses another one is not disturbed.

use std::path::Path;
use std::sync::Arc;

use larder_core::error::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Tls;
use crate::fault;

/// Speaks TLS over `stream` with the server that calls itself `host`.
pub(super) async fn wrap(
    tls: &Tls,
    server: &str,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let config = client_config(tls, server)?;
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| broken(server, error))?;
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    connected.map_err(|error| match error.get_ref() {
        // What rustls has to say is about certificates and versions: trying again is no use.
        Some(inner) if inner.is::<rustls::Error>() => Error::new(
            ErrorKind::Refused,
            format!("{server}: TLS: {error}; check the server's certificate and `ca_file`"),
        ),
        _ => fault::unavailable(server, format!("TLS: {error}")),
    })
}

fn client_config(tls: &Tls, server: &str) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(server, error))?;
    let roots = match tls {
        Tls::AcceptAny => {
            let verifier = Arc::new(AcceptAny(provider));
            let builder = builder
                .dangerous()
                .with_custom_certificate_verifier(verifier);
            return Ok(builder.with_no_client_auth());
        }
        Tls::Authority(path) => authority(path, server)?,
        Tls::System | Tls::Off => system(server)?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn authority(path: &Path, server: &str) -> Result<RootCertStore> {
    let wrong = |why: String| broken(server, format!("the ca_file {}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path);
    for certificate in certificates.map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn system(server: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Single broken files among the system's are common and no reason to trust nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(broken(
            server,
            "the system trusts no authority; name one with `ca_file`",
        ));
    }
    Ok(roots)
}

fn broken(server: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("{server}: TLS: {why}"))
}

/// Takes every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
