//! VPN pools and networks: what staff set up, what customers request, and what their hosts shall look like.

pub mod desired;
pub mod key;
