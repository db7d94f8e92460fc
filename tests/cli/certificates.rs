//! Certificates, made anew in each run of the tests.

use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;

/// An authority, with a folder for the files of those to whom it gives certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    folder: TempDir,
}

/// A certificate and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate, folder: tempfile::tempdir().unwrap() }
    }

    /// A certificate for a server, or a client, with this name.
    pub fn identity(&self, name: &str) -> Identity {
        self.with(name, |_| {})
    }

    pub fn with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { chain: vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()], key }
    }

    pub fn expired(&self, name: &str) -> Identity {
        self.with(name, |params| params.not_after = rcgen::date_time_ymd(2001, 2, 3))
    }

    pub fn for_clients(&self, name: &str) -> Identity {
        self.with(name, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// The file of the authority's certificate.
    pub fn cafile(&self) -> String {
        self.write("ca.pem", &[("CERTIFICATE", &self.certificate)])
    }

    /// The files of a client's certificate and of its key.
    pub fn files(&self, identity: &Identity, name: &str) -> [String; 2] {
        let cert = self.write(&format!("{name}.pem"), &[("CERTIFICATE", &identity.chain[0])]);
        [cert, self.write(&format!("{name}.key"), &[("PRIVATE KEY", &identity.key.serialize_der())])]
    }

    pub fn write(&self, name: &str, parts: &[(&str, &[u8])]) -> String {
        let path = self.folder.path().join(name);
        let text: String = parts.iter().map(|(label, bytes)| pem(label, bytes)).collect();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A certificate that vouches for itself, of the kind that `openssl req -x509` makes.
pub fn hand_made(name: &str) -> Identity {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Identity { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Identity {
    /// What a server with this identity speaks.
    pub fn server(&self) -> ServerConfig {
        self.server_of(&version::TLS13, None)
    }

    /// The same in one version of TLS, for clients of this authority alone.
    pub fn server_of(&self, version: &'static SupportedProtocolVersion, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        builder.with_single_cert(self.chain.clone(), key).unwrap()
    }
}
