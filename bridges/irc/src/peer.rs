//! An IRC server played by a test, line by line.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A server played by the test, line by line.
pub(crate) struct Peer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Peer {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let (read, write) = stream.into_split();
        Self { lines: BufReader::new(read).lines(), write }
    }

    /// The next line that isn't part of the registration's beginning.
    pub(crate) async fn line(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(10), self.lines.next_line())
            .await
            .expect("the client says something")
            .unwrap()
            .expect("the client is there")
    }

    pub(crate) async fn expect(&mut self, wanted: &str) -> String {
        let line = self.line().await;
        assert!(line.contains(wanted), "wanted {wanted:?}, got {line:?}");
        line
    }

    pub(crate) async fn say(&mut self, text: &str) {
        for line in text.lines() {
            self.write.write_all(format!("{}\r\n", line.trim()).as_bytes()).await.unwrap();
        }
    }

    /// Plays the registration with these capabilities.
    pub(crate) async fn register(&mut self, caps: &str) {
        self.expect("CAP LS 302").await;
        let nick = self.expect("NICK ").await.split_off(5);
        self.expect("USER ").await;
        self.say(&format!(":s CAP * LS :{caps}")).await;
        loop {
            let line = self.line().await;
            if let Some(names) = line.strip_prefix("CAP REQ ") {
                self.say(&format!(":s CAP * ACK :{}", names.trim_start_matches(':'))).await;
            } else if line == "CAP END" {
                break;
            }
        }
        self.say(&format!(":s 001 {nick} :Welcome to the net {nick}!~u@host\n:s 004 {nick} s test-1 i o\n:s 005 {nick} NICKLEN=20 CHATHISTORY=50 CASEMAPPING=ascii :are supported by this server\n:s 422 {nick} :No MOTD")).await;
    }
}
