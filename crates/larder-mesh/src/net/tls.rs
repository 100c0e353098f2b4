//! TLS 1.3 below the greeting, with aws-lc-rs given explicitly.
//!
//! With [`Tls::Secret`] each node makes a key when it starts and shows it as it is (RFC 7250), and
//! takes whatever key the other shows. That alone keeps nobody out; but both ends then prove that
//! they know the secret for exactly this session, whose exported key the proofs contain, and a
//! session has two ends. With certificates from files the same proof follows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use larder_core::error::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::config::{Tls, TlsFiles};
use crate::handshake::Binding;

const EXPORTER_LABEL: &[u8] = b"EXPORTER-larder-mesh";

/// What both sides of TLS sessions need.
pub(crate) struct Sessions {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    /// What the other's certificate has to say, if not the host.
    name: Option<ServerName<'static>>,
}

impl Sessions {
    /// Reads files and makes keys; none if TLS is off.
    pub(crate) fn new(tls: &Tls) -> Result<Option<Sessions>> {
        match tls {
            Tls::Off => Ok(None),
            Tls::Secret => by_secret().map(Some).map_err(|error| wrong(&error)),
            Tls::Files(files) => by_files(files).map(Some),
        }
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await.map(TlsStream::from)
    }

    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let connected = self.connector.connect(name, stream).await;
        connected.map(TlsStream::from)
    }
}

/// The name of this session, which both ends know and nobody else.
pub(crate) fn binding(stream: &TlsStream<TcpStream>) -> io::Result<Binding> {
    let key = match stream {
        TlsStream::Client(stream) => {
            let session = stream.get_ref().1;
            session.export_keying_material([0; 32], EXPORTER_LABEL, None)
        }
        TlsStream::Server(stream) => {
            let session = stream.get_ref().1;
            session.export_keying_material([0; 32], EXPORTER_LABEL, None)
        }
    };
    key.map(Binding::Tls).map_err(io::Error::other)
}

fn by_secret() -> std::result::Result<Sessions, rustls::Error> {
    let general = |_| rustls::Error::General("no key could be made".to_owned());
    let provider = Arc::new(provider::default_provider());
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(general)?;
    let der = pair.to_pkcs8v1().map_err(general)?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der.as_ref().to_vec()));
    let key = provider.key_provider.load_private_key(der)?;
    let shown = key
        .public_key()
        .ok_or_else(|| rustls::Error::General("the key cannot be shown".to_owned()))?;
    let shown = CertificateDer::from(shown.to_vec());
    let key = Arc::new(CertifiedKey::new(vec![shown], key));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey(provider)))
        .with_no_client_auth();
    client.enable_sni = false;
    // Every session proves the secret anew; none is taken up again.
    client.resumption = rustls::client::Resumption::disabled();
    let name =
        ServerName::try_from("larder.mesh").map_err(|_| rustls::Error::NoCertificatesPresented);
    Ok(Sessions {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
        name: Some(name?),
    })
}

fn by_files(files: &TlsFiles) -> Result<Sessions> {
    let provider = Arc::new(provider::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| at(&files.key, &error))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.authority)? {
        roots
            .add(certificate)
            .map_err(|error| at(&files.authority, &error))?;
    }
    let roots = Arc::new(roots);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(&error))?;
    let server = if files.is_mutual {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        server.with_client_cert_verifier(verifier.build().map_err(|error| wrong(&error))?)
    } else {
        server.with_no_client_auth()
    };
    let server = server
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| at(&files.key, &error))?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots);
    // Shown only if the other asks for it.
    let mut client = client
        .with_client_auth_cert(chain, key)
        .map_err(|error| at(&files.key, &error))?;
    client.resumption = rustls::client::Resumption::disabled();
    let name = files.server_name.clone().map(ServerName::try_from);
    Ok(Sessions {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
        name: name.transpose().map_err(|error| wrong(&error))?,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| at(path, &error))?;
    let certificates: std::result::Result<Vec<_>, _> = read.collect();
    let certificates = certificates.map_err(|error| at(path, &error))?;
    if certificates.is_empty() {
        return Err(at(path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn at(path: &Path, why: &dyn std::fmt::Display) -> Error {
    wrong(&format!("{}: {why}", path.display()))
}

fn wrong(why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("TLS of the mesh: {why}"))
}

/// Takes every key, but checks that the other holds it.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyKey {
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
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
