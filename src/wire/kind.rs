//! The kinds of jobs that the provider and its hosts know.

/// Declares kinds with their names, so that none can be left out of [`KINDS`].
macro_rules! kinds {
    ($($(#[$about:meta])+ $kind:ident $name:literal)+) => {
        /// The kind of a job. Rows and Redis store the name, so a kind is never renamed; payloads only ever gain
        /// fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$about])+ $kind,)+
        }

        /// All kinds.
        pub const KINDS: &[Kind] = &[$(Kind::$kind),+];

        impl Kind {
            /// Returns the name that rows and Redis store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// Applies the desired state of a VPN pool's interface on its host.
    VpnApply "vpn_apply"
    /// Reads the latest handshakes and the traffic of a VPN pool's peers from its host.
    VpnStatus "vpn_status"
    /// Requests the full state of all VPN pools, or of those of a host, once more. Run by a server.
    VpnReconcile "vpn_reconcile"
    /// Deletes jobs that ended long ago, and workers that are gone. Run by a server.
    JobCleanup "job_cleanup"
    /// Starts a bill run and enqueues its parts.
    BillRun "bill_run"
    /// Bills a part of a run.
    BillPart "bill_part"
    /// Assigns the numbers of a run's bills.
    BillEnd "bill_end"
    /// Terminates the service of an order whose end has come.
    OrderService "order_service"
}

impl Kind {
    /// Returns the kind of that name; none if a newer program introduced it.
    pub fn parse(text: &str) -> Option<Self> {
        KINDS.iter().copied().find(|kind| kind.as_str() == text)
    }
}
