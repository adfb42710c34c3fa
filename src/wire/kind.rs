//! Kinds of jobs: what the provider and its hosts call what is to be done.

/// Declares kinds with their names, so that none can be left out of [`KINDS`].
macro_rules! kinds {
    ($($(#[$about:meta])+ $kind:ident $name:literal)+) => {
        /// What a job does. Rows and Redis carry the name, so a kind is never renamed; payloads only ever gain fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$about])+ $kind,)+
        }

        /// All kinds.
        pub const KINDS: &[Kind] = &[$(Kind::$kind),+];

        impl Kind {
            /// Its name in rows and Redis.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// Bring a VPN pool's interface on its host to the desired state.
    VpnApply "vpn_apply"
    /// Ask a VPN pool's host for the last handshakes and the traffic of its peers.
    VpnStatus "vpn_status"
    /// Ask for the full state of all VPN pools, or of a host's, once more. Done by a server.
    VpnReconcile "vpn_reconcile"
    /// Forget jobs that ended long ago, and workers that are gone. Done by a server.
    JobCleanup "job_cleanup"
    /// Begin a bill run and ask for its shares.
    BillRun "bill_run"
    /// Bill a share of a run.
    BillPart "bill_part"
    /// Give a run's bills their numbers.
    BillEnd "bill_end"
    /// End what an order delivers, now that its time has come.
    OrderService "order_service"
}

impl Kind {
    /// The kind of that name; none when a newer program made it up.
    pub fn parse(text: &str) -> Option<Self> {
        KINDS.iter().copied().find(|kind| kind.as_str() == text)
    }
}
