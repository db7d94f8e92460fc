//! Whom TLS trusts and as whom it presents itself: options of the user become a configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::connection::tls::{Tls, is_authority_as_server};
use crate::input::read_text;
use crate::printed_command::option;

/// The options of the user for TLS.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The authorities that are trusted, in place of the system's; PEM.
    pub cafile: Option<PathBuf>,
    /// The client's certificate with those that lead to its authority; PEM.
    pub cert: Option<PathBuf>,
    /// The client's private key; PEM.
    pub key: Option<PathBuf>,
    /// The certificate is not verified.
    pub insecure: bool,
    /// The application protocols that are offered, the best first.
    pub alpn: Vec<String>,
}

/// The options cannot be used: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{option} {}: it cannot be read ({why}); name a file in PEM form", path.display())]
    Unreadable { option: &'static str, path: PathBuf, why: String },
    #[error("{option} {}: it holds no {what}; {cure}", path.display())]
    Empty { option: &'static str, path: PathBuf, what: &'static str, cure: &'static str },
    #[error("--cert without --key: give the private key of the certificate with --key FILE")]
    NoKey,
    #[error("--key without --cert: give the certificate of the key with --cert FILE")]
    NoCert,
    #[error("--cert and --key: {0}; give the certificate and the private key of one client")]
    Unusable(Error),
    #[error("--cafile {}: a certificate in it cannot be used ({why}); give that of an authority", path.display())]
    NoAuthority { path: PathBuf, why: Error },
    #[error("this machine has no certificate authorities{0}; give --cafile FILE, or --insecure")]
    NoRoots(String),
    #[error("the host {0} cannot stand in a certificate; give a name or an address")]
    Name(String),
    #[error("TLS cannot be set up ({0}); report this")]
    Setup(Error),
}

impl TlsOptions {
    /// The option that makes no sense without TLS, if there is one.
    pub fn any(&self) -> Option<&'static str> {
        let given = [
            ("--cafile", self.cafile.is_some()),
            ("--cert", self.cert.is_some()),
            ("--key", self.key.is_some()),
            ("--insecure", self.insecure),
            ("--alpn", !self.alpn.is_empty()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// The options, as they would be typed again.
    pub fn arguments(&self) -> Vec<String> {
        let files = [("--cafile", &self.cafile), ("--cert", &self.cert), ("--key", &self.key)];
        let files =
            files.into_iter().filter_map(|(name, path)| Some(option(name, &path.as_ref()?.display().to_string())));
        let insecure = self.insecure.then(|| "--insecure".to_owned());
        let alpn = (!self.alpn.is_empty()).then(|| option("--alpn", &self.alpn.join(",")));
        files.flatten().chain(insecure).chain(alpn.into_iter().flatten()).collect()
    }

    /// How a broker on this host is spoken to.
    ///
    /// # Errors
    /// [`TrustError`], a sentence that says what to do.
    pub fn tls(&self, host: &str) -> Result<Tls, TrustError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TrustError::Name(host.into()))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates("--cert", cert)?;
                builder.with_client_auth_cert(chain, private_key(key)?).map_err(TrustError::Unusable)?
            }
            (Some(_), None) => return Err(TrustError::NoKey),
            (None, Some(_)) => return Err(TrustError::NoCert),
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
        Ok(Tls { config: Arc::new(config), name, has_cafile: self.cafile.is_some() })
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        if self.insecure {
            return Ok(Arc::new(Anybody(provider)));
        }
        let mut roots = RootCertStore::empty();
        let mut named = Vec::new();
        if let Some(path) = &self.cafile {
            named = certificates("--cafile", path)?;
            for certificate in named.clone() {
                roots.add(certificate).map_err(|why| TrustError::NoAuthority { path: path.clone(), why })?;
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = found.errors.first().map(|error| format!(" ({error})"));
                return Err(TrustError::NoRoots(why.unwrap_or_default()));
            }
        }
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let usual = usual.map_err(|error| TrustError::Setup(Error::General(error.to_string())))?;
        Ok(Arc::new(Named { usual, named }))
    }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let text = read(option, path)?;
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| unreadable(option, path, &error))?;
    if certificates.is_empty() {
        let cure = "name a file in PEM form, with BEGIN CERTIFICATE";
        return Err(TrustError::Empty { option, path: path.into(), what: "certificate", cure });
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TrustError> {
    let text = read("--key", path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let cure = "name a file in PEM form; one with a passphrase has to be decrypted first (openssl pkey)";
            TrustError::Empty { option: "--key", path: path.into(), what: "private key", cure }
        }
        error => unreadable("--key", path, &error),
    })
}

fn read(option: &'static str, path: &Path) -> Result<String, TrustError> {
    read_text(path).map_err(|error| unreadable(option, path, &error))
}

fn unreadable(option: &'static str, path: &Path, error: &dyn std::error::Error) -> TrustError {
    TrustError::Unreadable { option, path: path.into(), why: error.to_string() }
}

/// Verifies in the usual way, and trusts a certificate of the broker's own that the user named, although it is that of an
/// authority: so are those that `openssl req -x509` makes.
#[derive(Debug)]
struct Named {
    usual: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(certificate, chain, name, ocsp, now) {
            // Its time was looked at before that.
            Err(Error::InvalidCertificate(error))
                if is_authority_as_server(&error) && self.named.iter().any(|named| named == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Trusts whoever answers: `--insecure`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
