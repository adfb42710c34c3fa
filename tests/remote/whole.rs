//! A control plane and a host's worker that share nothing but two servers elsewhere, reached over TLS.
