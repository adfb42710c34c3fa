//! OpenLDAP's slapd for tests, with TLS and the entries of a small provider.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt::Write as _,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ldap3::{Ldap, LdapConnAsync, Mod};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use uncloud::accounts::{Directory, DirectorySettings};

use super::{folder::ServerFolder, free_port, watched::Watched};
use crate::command::output;

/// The password of the entry that `uncloud` binds as to search.
pub const SERVICE_PASSWORD: &str = "the-services-own-password";

/// The group of the staff; `dave` is its only member.
pub const STAFF_GROUP: &str = "cn=staff,dc=test";

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
memberUid: Carol

dn: cn=operators,dc=test
objectClass: groupOfNames
cn: operators
member: cn=night,dc=test

dn: cn=night,dc=test
objectClass: groupOfUniqueNames
cn: night
uniqueMember: cn=operators,dc=test
uniqueMember: uid=dave,ou=users,dc=test
";

/// Names and mail addresses; each password is [`password_of`]. `Bob` is also a local user in most tests.
const USERS: [(&str, &str); 6] = [
    ("Carol", "carol@example.ch"),
    ("dave", "dave@example.ch"),
    ("erin", "shared@example.ch"),
    ("frank", "shared@example.ch"),
    ("Bob", "bob@example.ch"),
    ("grace", "grace.o'hara+vpn@example.ch"),
];

/// Returns the password of one of the directory's users.
pub fn password_of(user: &str) -> String {
    format!("directory-password-of-{}", user.to_lowercase())
}

/// A running slapd. It can be stopped and started again.
#[derive(Debug)]
pub struct Slapd {
    folder: ServerFolder,
    port: u16,
    tls_port: u16,
    server: Option<Watched>,
}

impl Drop for Slapd {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = fs::remove_dir_all(&self.folder.path); // left when it was stopped
    }
}

fn first_that_exists(paths: &[&str]) -> PathBuf {
    paths.iter().map(PathBuf::from).find(|path| path.exists()).expect("slapd is installed: ./dev install")
}

/// Writes a CA, a certificate of it for 127.0.0.1, and another CA.
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
        fs::write(folder.join(name), text).expect("write");
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
    /// Starts a server and waits until it accepts connections.
    pub fn start() -> Self {
        let folder = ServerFolder::of_this_user();
        let path = folder.path.as_path();
        write_certificates(path);
        fs::create_dir(path.join("db")).expect("a folder");
        fs::write(path.join("slapd.conf"), configuration(path)).expect("write");
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
        fs::write(path.join("entries.ldif"), entries).expect("write");
        let mut add = Command::new(first_that_exists(&["/usr/sbin/slapadd"]));
        add.arg("-f").arg(path.join("slapd.conf")).arg("-l").arg(path.join("entries.ldif"));
        let added = output(&mut add, "");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let mut this = Self { folder, port: free_port(), tls_port: free_port(), server: None };
        this.resume();
        this
    }

    /// Kills it; its entries stay.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop_and_keep_folder();
        }
    }

    /// Starts it again, at the same address.
    pub fn resume(&mut self) {
        let mut args = ["-d", "stats", "-h"].map(OsString::from).to_vec();
        args.push(format!("{} {}", self.url(), self.tls_url()).into());
        args.extend(["-f".into(), self.folder.path.join("slapd.conf").into()]);
        let program = first_that_exists(&["/usr/sbin/slapd"]);
        let ports = [self.port, self.tls_port];
        let is_ready = || ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok());
        self.server = Some(Watched::start(&self.folder, "KILL", &program, &args, is_ready));
    }

    /// Counts the binds with a password of names below `ou=users` so far, those of unknown names included.
    pub fn user_binds(&self) -> usize {
        let log = fs::read_to_string(self.folder.log()).expect("a log");
        let of_user = |line: &&str| line.contains("ou=users,dc=test\" method=128");
        log.lines().filter(of_user).count()
    }

    /// Returns its `ldap://` URL.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// Returns its `ldaps://` URL.
    pub fn tls_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// Returns the path of a file in its folder: `ca.pem` signed its certificate, `other-ca.pem` did not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path.join(name)
    }

    /// Returns the settings with which `uncloud` uses this directory.
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
            nested_groups: false,
            timeout: Duration::from_secs(2),
        }
    }

    async fn root(&self) -> Ldap {
        let (connection, mut ldap) = LdapConnAsync::new(&self.url()).await.expect("a connection");
        tokio::spawn(async move { connection.drive().await });
        ldap.simple_bind("cn=root,dc=test", "rootpw").await.and_then(ldap3::LdapResult::success).expect("root");
        ldap
    }

    /// Replaces the values of an entry's attribute.
    pub async fn replace(&self, dn: &str, attribute: &str, value: &str) {
        let change = vec![Mod::Replace(attribute, HashSet::from([value]))];
        self.root().await.modify(dn, change).await.and_then(ldap3::LdapResult::success).expect("changed");
    }

    /// Adds a user's entry, as the first ones are.
    pub async fn add_user(&self, name: &str, mail: &str) {
        let password = password_of(name);
        let attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", name),
            ("cn", name),
            ("sn", name),
            ("mail", mail),
            ("userPassword", &password),
        ];
        let attributes = attributes.map(|(attribute, value)| (attribute, HashSet::from([value]))).to_vec();
        let added = self.root().await.add(&format!("uid={name},ou=users,dc=test"), attributes).await;
        added.and_then(ldap3::LdapResult::success).expect("added");
    }

    /// Deletes an entry.
    pub async fn delete(&self, dn: &str) {
        self.root().await.delete(dn).await.and_then(ldap3::LdapResult::success).expect("deleted");
    }
}

/// Makes a directory of settings that are valid.
pub fn directory(settings: DirectorySettings) -> Arc<Directory> {
    Arc::new(Directory::new(settings).expect("right settings"))
}
