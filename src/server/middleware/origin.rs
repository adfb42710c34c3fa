//! Origins of web pages: which ones may call the API, and the refusal of changes that a foreign page requests.
//!
//! A browser attaches the credentials that its user has once entered to the requests of any page, and sends many of them
//! without asking first: a POST without a body, say. It names the page's origin, which no page can forge.

use std::str::FromStr;

use poem::{
    Request,
    http::{HeaderValue, header},
};
use url::Url;

use crate::{error::Error, http::TrustedProxies};

/// A web origin whose pages may call the API from a browser, such as `https://panel.example.ch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    pub(super) fn is(&self, origin: &HeaderValue) -> bool {
        self.0 == *origin
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not an origin; must be scheme and host, as in https://panel.example.ch");
        let url = Url::parse(text).map_err(|_| wrong())?;
        // `*` and `null` would allow every origin.
        let exact = ["http", "https"].contains(&url.scheme())
            && url.origin().ascii_serialization() == text
            && !text.contains('*'); // valid in a URL, but not in a host name
        exact.then(|| HeaderValue::from_str(text).ok().map(Self)).flatten().ok_or_else(wrong)
    }
}

/// Refuses a request with an unsafe method that a page of a foreign origin makes, whatever its credentials. Requests of
/// programs have no `Origin`.
pub(in crate::server) fn refuse_foreign(
    request: &Request,
    origins: &[Origin],
    proxies: &TrustedProxies,
) -> Result<(), Error> {
    if request.method().is_safe() {
        return Ok(());
    }
    let own = own_origin(request, proxies);
    let is_known =
        |origin: &HeaderValue| origin.as_bytes() == own.as_bytes() || origins.iter().any(|known| known.is(origin));
    let named = || request.headers().get_all(header::ORIGIN).into_iter();
    let is_foreign = match request.header("sec-fetch-site") {
        _ if named().next().is_some() => !named().all(is_known),
        Some(site) => site != "same-origin" && site != "none",
        None => false,
    };
    if is_foreign {
        return Err(Error::Forbidden(
            "a page of another origin requests this change; if it is yours, name its origin in UNCLOUD_CORS_ORIGINS, \
             or the proxy in front of this server in UNCLOUD_TRUSTED_PROXIES"
                .into(),
        ));
    }
    Ok(())
}

/// Returns the origin under which the request's caller knows this server: a trusted proxy tells it.
fn own_origin(request: &Request, proxies: &TrustedProxies) -> String {
    let forwarded = |name| {
        let value = request.header(name).filter(|_| proxies.trusts(TrustedProxies::peer_of(request)))?;
        // The last proxy's value; the ones before it may be the caller's own.
        value.rsplit(',').next().map(|value| value.trim().to_ascii_lowercase())
    };
    let scheme = forwarded("x-forwarded-proto").unwrap_or_else(|| request.scheme().to_string());
    let host = forwarded("x-forwarded-host")
        .unwrap_or_else(|| request.header(header::HOST).unwrap_or_default().to_ascii_lowercase());
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", host.strip_suffix(default_port).unwrap_or(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_without_exact_form_is_refused() {
        for right in ["https://panel.example.ch", "http://localhost:3000", "https://[2001:db8::1]:8443"] {
            right.parse::<Origin>().expect(right);
        }
        let wrong = ["*", "null", "", "panel.example.ch", "https://panel.example.ch/", "https://a@panel.example.ch"];
        for wrong in wrong.into_iter().chain(["https://Panel.example.ch", "ftp://example.ch", "https://*.example.ch"]) {
            wrong.parse::<Origin>().expect_err(wrong);
        }
    }
}
