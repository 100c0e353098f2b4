//! Links with certificates from files.

use std::path::Path;

use larder_mesh::{Config, Mesh, Tls, TlsFiles};
use larder_testkit::servers::{make_certificates, openssl, require};
use tempfile::TempDir;

use crate::support::{World, config, joining, wait, wait_all_alive};

/// A folder with an authority and a certificate; none if there is no `openssl` here.
fn folder() -> Option<TempDir> {
    require(openssl())?;
    let folder = TempDir::new().unwrap();
    make_certificates(folder.path()).unwrap();
    Some(folder)
}

fn files(of: &Path, authority: &Path) -> TlsFiles {
    TlsFiles {
        certificate: of.join("server.pem"),
        key: of.join("server.key"),
        authority: authority.join("ca.pem"),
        server_name: None,
        is_mutual: true,
    }
}

fn with(files: &TlsFiles, config: Config) -> Config {
    Config {
        tls: Tls::Files(files.clone()),
        ..config
    }
}

#[test]
fn nodes_with_certificates_of_one_authority_meet() {
    let Some(folder) = folder() else { return };
    let world = World::new();
    let mut files = files(folder.path(), folder.path());
    for (is_mutual, server_name) in [(true, None), (false, None), (true, Some("localhost"))] {
        files.is_mutual = is_mutual;
        files.server_name = server_name.map(str::to_owned);
        let a = world.start(with(&files, config("a")));
        let b = world.start(with(&files, joining("b", &[&a.address()])));
        wait_all_alive(&[&a, &b]);
    }
}

#[test]
fn a_certificate_of_another_authority_or_name_is_refused_whatever_the_secret() {
    let (Some(ours), Some(theirs)) = (folder(), folder()) else {
        return;
    };
    let world = World::new();
    let a = world.start(with(&files(ours.path(), ours.path()), config("a")));
    let stranger = files(theirs.path(), theirs.path());
    // It trusts our authority, but its own certificate is signed by another.
    let unsigned = files(theirs.path(), ours.path());
    let misnamed = TlsFiles {
        server_name: Some("elsewhere".to_owned()),
        ..files(ours.path(), ours.path())
    };
    for (name, files) in [("b", stranger), ("c", unsigned), ("d", misnamed)] {
        let before = a.refused("tls") + a.refused("closed");
        let other = world.start(with(&files, joining(name, &[&a.address()])));
        wait("refusals", || {
            a.refused("tls") + a.refused("closed") > before + 1
        });
        assert_eq!(a.alive() + other.alive(), 0, "{name}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let world = World::new();
    let missing = files(Path::new("nowhere"), Path::new("nowhere"));
    let runtime = world.runtime.handle().clone();
    let started = world.runtime.block_on(Mesh::start(
        with(&missing, config("a")),
        std::sync::Arc::new(larder::TokioRuntime::on(runtime)),
    ));
    let error = started.unwrap_err();
    assert!(error.message().contains("nowhere/server.pem"), "{error}");
}
