//! Real IRC servers, started on free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use landbridge_framework::testing::free_port;

/// The servers we know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    Ngircd,
    Inspircd,
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) software: Software,
    child: Child,
    directory: tempfile::TempDir,
}

impl Software {
    pub(crate) const ALL: [Self; 2] = [Self::Ngircd, Self::Inspircd];

    fn binary(self) -> Option<PathBuf> {
        let name = if self == Self::Ngircd { "ngircd" } else { "inspircd" };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let standard = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
        std::env::split_paths(&path)
            .chain(standard)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    }

    /// Starts a server; `None` (and a word on the test's output) where it isn't installed.
    pub(crate) fn start(self) -> Option<Server> {
        let Some(binary) = self.binary() else {
            println!("SKIPPED: {self:?} is not installed (tests/run installs it)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = free_port().unwrap();
        let child = spawn(self, &binary, directory.path(), port);
        let server = Server { port, software: self, child, directory };
        server.wait();
        Some(server)
    }
}

impl Server {
    fn wait(&self) {
        for _ in 0..600 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{:?} does not listen on port {}", self.software, self.port);
    }

    /// Kills the server and starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let binary = self.software.binary().unwrap();
        self.child = spawn(self.software, &binary, self.directory.path(), self.port);
        self.wait();
    }

    fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(software: Software, binary: &Path, directory: &Path, port: u16) -> Child {
    let file = directory.join("server.conf");
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let mut command = Command::new(binary);
    match software {
        Software::Ngircd => {
            std::fs::write(&file, ngircd(port, root)).unwrap();
            command.arg("-n").arg("-f").arg(&file);
        }
        Software::Inspircd => {
            std::fs::write(&file, inspircd(port, directory)).unwrap();
            command.arg("--nofork").arg(format!("--config={}", file.display()));
            if root {
                command.arg("--runasroot");
            }
        }
    }
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn ngircd(port: u16, root: bool) -> String {
    let user = if root { "ServerUID = nobody\nServerGID = nogroup\n" } else { "" };
    format!(
        "[Global]\nName = ngircd.test\nInfo = test\nListen = 127.0.0.1\nPorts = {port}\n{user}\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\n"
    )
}

fn inspircd(port: u16, directory: &Path) -> String {
    let modules = "<module name=\"cap\"><module name=\"ircv3\"><module name=\"ircv3_servertime\">\
        <module name=\"ircv3_batch\"><module name=\"ircv3_echomessage\"><module name=\"ircv3_ctctags\">\
        <module name=\"ircv3_capnotify\"><module name=\"ircv3_labeledresponse\">";
    format!(
        "<server name=\"insp.test\" description=\"test\" network=\"test\">\n<admin name=\"a\" nick=\"a\" email=\"a@example.org\">\n\
         <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n<pid file=\"{}/pid\">\n\
         <connect allow=\"*\" localmax=\"0\" globalmax=\"0\" timeout=\"60\" useident=\"no\" resolvehostnames=\"no\" commandrate=\"100000\" fakelag=\"no\" threshold=\"100000\" recvq=\"1048576\" softsendq=\"4194304\" hardsendq=\"8388608\">\n\
         <performance netbuffersize=\"10240\">\n<options casemapping=\"rfc1459\">\n<limits maxnick=\"30\">\n<dns timeout=\"1\">\n{modules}\n",
        directory.display()
    )
}
