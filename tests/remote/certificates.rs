//! An authority of one's own and a server's certificate, made by openssl as an operator would.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use tempfile::TempDir;

/// For `::1`, which is what the tests call; `127.0.0.1` is the same server under a name that it has no certificate for.
pub struct Certificates {
    folder: TempDir,
}

/// Made once for the whole test process.
pub fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(Certificates::make)
}

impl Certificates {
    fn make() -> Self {
        let folder = TempDir::with_prefix("uncloud-tls-").expect("folder");
        let script = "
            ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj \"/CN=$1\" \
                -keyout $1.key -out $1.pem; }
            ca ca; ca stranger
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr
            printf 'subjectAltName=DNS:redis.example.ch,IP:::1\\n' >san
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem";
        let made = Command::new("sh").args(["-euc", script]).current_dir(folder.path()).output().expect("sh");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder }
    }

    /// The authority's certificate, to be trusted.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Another authority's.
    pub fn strangers_ca(&self) -> PathBuf {
        self.folder.path().join("stranger.pem")
    }

    /// The server's certificate and key, for its folder.
    pub fn server_files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let read = |name| (name, fs::read(self.folder.path().join(name)).expect(name));
        vec![read("server.pem"), read("server.key")]
    }
}
