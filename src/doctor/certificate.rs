//! What a certificate says of itself.

use std::time::SystemTime;

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const SECONDS_OF_A_DAY: i64 = 86_400;

/// A certificate, as far as people ask about it.
pub struct Certificate {
    /// The subject, or the first name of a host where the subject is empty, as it may be.
    pub subject: String,
    pub issuer: String,
    /// Whole days until it expires; negative where it has.
    pub days_left: i64,
}

impl Certificate {
    /// Reads DER; `None` if that is no certificate.
    pub fn of(der: &[u8], now: SystemTime) -> Option<Certificate> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let left = certificate.validity().not_after.timestamp() - i64::try_from(now).ok()?;
        let subject = certificate.subject().to_string();
        let subject = if subject.is_empty() { host(&certificate).unwrap_or_default() } else { subject };
        Some(Certificate {
            subject,
            issuer: certificate.issuer().to_string(),
            days_left: left.div_euclid(SECONDS_OF_A_DAY),
        })
    }
}

/// The first DNS name that the certificate is for.
fn host(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    /// 2001-02-03, in seconds since 1970.
    const THE_THIRD: u64 = 981_158_400;

    fn read(params: CertificateParams, seconds: u64) -> Certificate {
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::of(certificate.der(), SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn the_days_left_are_whole_ones() {
        let day = SECONDS_OF_A_DAY as u64;
        for (now, left) in [(THE_THIRD - 5 * day, 5), (THE_THIRD - day + 1, 0), (THE_THIRD + 1, -1)] {
            let mut params = CertificateParams::new(vec!["broker.example".to_owned()]).unwrap();
            params.not_after = date_time_ymd(2001, 2, 3);
            params.distinguished_name.push(DnType::OrganizationName, "Example");
            let read = read(params, now);
            assert_eq!((read.days_left, read.subject.contains("O=Example")), (left, true), "{}", read.subject);
        }
    }

    #[test]
    fn a_certificate_without_a_subject_has_the_name_of_a_host() {
        let mut params = CertificateParams::new(vec!["broker.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        assert_eq!(read(params, THE_THIRD).subject, "broker.example");
        assert!(Certificate::of(b"\x30\x00", SystemTime::now()).is_none());
    }
}
