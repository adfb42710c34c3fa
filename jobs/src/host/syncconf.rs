//! The text for `wg syncconf`.

use std::fmt::Write as _;

use ipnet::IpNet;
use uncloud_wire::{Secret, desired::InterfaceConfig};

/// The preshared key of zeros, which means none.
const NO_PRESHARED_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Renders an interface from typed values only; it contains no text that could inject a line.
///
/// Without `PrivateKey` syncconf wipes the key, without `ListenPort` it picks one. Omitted values of a peer keep their
/// manual settings, hence the preshared key and the keepalive. Endpoints are omitted because customers roam.
pub(super) fn render(config: &InterfaceConfig) -> Secret<String> {
    let mut text = String::with_capacity(200 + config.peers.len() * 220);
    let _ = writeln!(text, "[Interface]\nPrivateKey = {}", config.private_key.expose_base64());
    let _ = writeln!(text, "ListenPort = {}", config.listen_port);
    for peer in &config.peers {
        let _ = writeln!(text, "\n[Peer]\nPublicKey = {}", peer.public_key);
        if !peer.allowed_ips.is_empty() {
            let prefixes: Vec<String> = peer.allowed_ips.iter().map(IpNet::to_string).collect();
            let _ = writeln!(text, "AllowedIPs = {}", prefixes.join(", "));
        }
        let _ = writeln!(text, "PresharedKey = {NO_PRESHARED_KEY}\nPersistentKeepalive = off");
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::tests::config;

    #[test]
    fn render_config_returns_expected_text() {
        let expected = "[Interface]
PrivateKey = cAdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LGo=
ListenPort = 51820

[Peer]
PublicKey = 6xCGAILBdjOcwVFKvN6eb1Q6OjRc+O5e5r7yNH0fNSY=
AllowedIPs = 2a0a:e5c1:201::/48, 10.1.0.0/24
PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
PersistentKeepalive = off

[Peer]
PublicKey = 3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=
PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
PersistentKeepalive = off
";
        let rendered = render(&config());
        assert_eq!(rendered.expose(), expected);
    }
}
