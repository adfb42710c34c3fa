//! A directory of its own for a test: OpenLDAP's slapd in `/tmp`, with TLS, gone when the test process is (the same
//! watchdog as in `uncloud::embedded::throwaway`: a shell that holds the reading end of a pipe).

use std::{
    collections::HashSet,
    fmt::Write as _,
    io::Write as _,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use ldap3::{Ldap, LdapConnAsync, Mod};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use uncloud::{
    accounts::{Directory, DirectorySettings},
    embedded::throwaway::free_port,
};

pub const SERVICE_PASSWORD: &str = "the-services-own-password";
pub const STAFF_GROUP: &str = "cn=staff,dc=test";

/// $1: folder, which goes too unless somebody says "keep"; then slapd's command line.
const WATCHDOG: &str = r#"
folder=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ word=; read -r word <&3; kill -s KILL "$server"; [ "$word" = keep ] || rm -rf "$folder"; } &
exec 3<&-
wait "$server"
"#;

const ENTRIES: &str = "\
dn: dc=test
objectClass: dcObject
objectClass: organization
o: test
dc: test

dn: cn=policy,dc=test
objectClass: organizationalRole
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE

dn: cn=service,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: service
userPassword: the-services-own-password

dn: ou=users,dc=test
objectClass: organizationalUnit
ou: users

dn: cn=staff,dc=test
objectClass: groupOfNames
cn: staff
member: uid=dave,ou=users,dc=test

dn: cn=unix,dc=test
objectClass: posixGroup
cn: unix
gidNumber: 1
memberUid: carol
";

/// Name and mail; everybody's password is [`password_of`]. `Bob` is also a local user.
const USERS: [(&str, &str); 5] = [
    ("Carol", "carol@example.ch"),
    ("dave", "dave@example.ch"),
    ("erin", "shared@example.ch"),
    ("frank", "shared@example.ch"),
    ("Bob", "bob@example.ch"),
];

pub fn password_of(user: &str) -> String {
    format!("directory-password-of-{}", user.to_lowercase())
}

/// A running slapd.
pub struct Slapd {
    folder: tempfile::TempDir,
    port: u16,
    tls_port: u16,
    server: Option<(Child, ChildStdin)>,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn first_that_exists(paths: &[&str]) -> PathBuf {
    paths.iter().map(PathBuf::from).find(|path| path.exists()).expect("slapd is installed: ./dev install")
}

/// A CA and a certificate of it for 127.0.0.1, and another CA.
fn write_certificates(folder: &Path) {
    let ca = || {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
    };
    let (own, other, key) = (ca(), ca(), KeyPair::generate().expect("a key"));
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &own).expect("a certificate");
    for (name, text) in [
        ("ca.pem", own.pem()),
        ("other-ca.pem", other.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("write");
    }
}

fn configuration(folder: &Path) -> String {
    let schema = first_that_exists(&["/etc/ldap/schema", "/etc/openldap/schema"]);
    let modules = first_that_exists(&["/usr/lib/ldap", "/usr/lib/openldap", "/usr/libexec/openldap"]);
    let mut text = String::new();
    for name in ["core", "cosine", "nis", "inetorgperson"] {
        writeln!(text, "include {}/{name}.schema", schema.display()).expect("a line");
    }
    let (modules, folder) = (modules.display(), folder.display());
    text + &format!(
        "modulepath {modules}\nmoduleload back_mdb\nmoduleload ppolicy\n\
         TLSCACertificateFile {folder}/ca.pem\nTLSCertificateFile {folder}/cert.pem\n\
         TLSCertificateKeyFile {folder}/key.pem\n\
         database mdb\nmaxsize 10485760\nsuffix dc=test\nrootdn cn=root,dc=test\nrootpw rootpw\ndirectory {folder}/db\n\
         overlay ppolicy\nppolicy_default cn=policy,dc=test\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=cn=service,dc=test read by * none\n"
    )
}

impl Slapd {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("uncloud-slapd-").tempdir_in("/tmp").expect("a folder");
        let path = folder.path();
        write_certificates(path);
        std::fs::create_dir(path.join("db")).expect("a folder");
        std::fs::write(path.join("slapd.conf"), configuration(path)).expect("write");
        let mut entries = ENTRIES.to_owned();
        for (name, mail) in USERS {
            writeln!(
                entries,
                "\ndn: uid={name},ou=users,dc=test\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
                 mail: {mail}\nuserPassword: {}",
                password_of(name)
            )
            .expect("an entry");
        }
        std::fs::write(path.join("entries.ldif"), entries).expect("write");
        let add = Command::new(first_that_exists(&["/usr/sbin/slapadd"]))
            .arg("-f")
            .arg(path.join("slapd.conf"))
            .arg("-l")
            .arg(path.join("entries.ldif"))
            .output()
            .expect("slapadd");
        assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
        let port = || free_port().expect("a port");
        let mut this = Self { folder, port: port(), tls_port: port(), server: None };
        this.resume();
        this
    }

    /// Ends it as a crash does.
    pub fn stop(&mut self) {
        if let Some((mut shell, mut pipe)) = self.server.take() {
            pipe.write_all(b"keep\n").expect("the shell listens");
            drop(pipe);
            let _ = shell.wait();
        }
    }

    /// Starts it again, at the same address.
    pub fn resume(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "sh"]).arg(self.folder.path()).arg(first_that_exists(&["/usr/sbin/slapd"]));
        command.args(["-d", "stats", "-h"]).arg(format!("{} {}", self.url(), self.tls_url()));
        command.arg("-f").arg(self.folder.path().join("slapd.conf")).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a handle")).stderr(log);
        let mut shell = command.spawn().expect("a shell");
        let pipe = shell.stdin.take().expect("a pipe");
        self.server = Some((shell, pipe));
        let deadline = Instant::now() + Duration::from_secs(20);
        while ![self.port, self.tls_port].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
            assert!(Instant::now() < deadline, "slapd does not start: {:?}", std::fs::read_to_string(self.log()));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// How often somebody below `ou=users` (or nobody, for unknown names) was tried with a password so far.
    pub fn user_binds(&self) -> usize {
        let log = std::fs::read_to_string(self.log()).expect("a log");
        let of_user = |line: &&str| line.contains("ou=users,dc=test\" method=128");
        log.lines().filter(of_user).count()
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    pub fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn settings(&self) -> DirectorySettings {
        DirectorySettings {
            url: self.url(),
            starttls: false,
            ca_file: None,
            allow_plaintext: false,
            bind_dn: Some("cn=service,dc=test".into()),
            bind_password: Some(SERVICE_PASSWORD.to_owned().into()),
            base_dn: "ou=users,dc=test".into(),
            filter: "(|(uid={username})(mail={username}))".into(),
            username_attribute: "uid".into(),
            locked_filter: None,
            staff_group: Some(STAFF_GROUP.into()),
            timeout: Duration::from_secs(2),
        }
    }

    async fn root(&self) -> Ldap {
        let (connection, mut ldap) = LdapConnAsync::new(&self.url()).await.expect("a connection");
        tokio::spawn(async move { connection.drive().await });
        ldap.simple_bind("cn=root,dc=test", "rootpw").await.and_then(ldap3::LdapResult::success).expect("root");
        ldap
    }

    pub async fn replace(&self, dn: &str, attribute: &str, value: &str) {
        let change = vec![Mod::Replace(attribute, HashSet::from([value]))];
        self.root().await.modify(dn, change).await.and_then(ldap3::LdapResult::success).expect("changed");
    }

    pub async fn delete(&self, dn: &str) {
        self.root().await.delete(dn).await.and_then(ldap3::LdapResult::success).expect("deleted");
    }
}

/// Checked and ready to use.
pub fn directory(settings: DirectorySettings) -> Arc<Directory> {
    Arc::new(Directory::new(settings).expect("right settings"))
}
