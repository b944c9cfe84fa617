//! A little SMTP server that keeps what it is sent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A message: who it is for, and its text, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) text: String,
}

impl Mail {
    /// When it was sent, by the server's clock.
    pub(crate) fn sent(&self) -> SystemTime {
        let date = self.text.lines().find_map(|line| line.strip_prefix("Date: "));
        let date = date.expect("a date").replace("+0000", "GMT");
        httpdate::parse_http_date(&date).expect("a date that can be read")
    }

    /// The path and query of the link in it.
    pub(crate) fn link(&self) -> &str {
        self.link_to("confirm")
    }

    /// The same of the link to another page.
    pub(crate) fn link_to(&self, page: &str) -> &str {
        let begin = self.text.find(&format!("/_landbridge/email/{page}?"));
        let begin = begin.expect("a link in the e-mail");
        self.text[begin..].split([' ', '\r', '\n', '>']).next().unwrap()
    }
}

/// The server. It takes messages for everybody but `refused@...`.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    refused: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
}

impl Smtp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(AtomicUsize::new(0));
        let (kept, counted) = (Arc::clone(&mails), Arc::clone(&refused));
        let full = Arc::<AtomicBool>::default();
        let is_full = Arc::clone(&full);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if is_full.load(Ordering::SeqCst) {
                    continue;
                }
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&counted)));
            }
        });
        Self { port, mails, refused, full }
    }

    /// Hangs up on everybody from now on, or no longer.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// How many messages came so far.
    pub(crate) fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// Waits until so many messages were refused.
    pub(crate) async fn wait_for_refusals(&self, count: usize) {
        let refused = async {
            while self.refused.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), refused).await.expect("a refusal in time");
    }

    /// The newest message, once so many came.
    pub(crate) async fn wait(&self, count: usize) -> Mail {
        let arrived = async {
            while self.count() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), arrived).await.expect("an e-mail in time");
        self.mails.lock().unwrap().last().unwrap().clone()
    }

    /// Whom the messages of a range went to.
    pub(crate) fn to(&self, range: std::ops::Range<usize>) -> Vec<String> {
        self.mails.lock().unwrap()[range].iter().map(|mail| mail.to.clone()).collect()
    }

    /// The newest message for an address. The server answers a client only once a message was taken, so it is here.
    pub(crate) fn newest(&self, to: &str) -> Mail {
        let mails = self.mails.lock().unwrap();
        mails.iter().rev().find(|mail| mail.to == to).expect("an e-mail to that address").clone()
    }
}

async fn serve(stream: TcpStream, mails: Arc<Mutex<Vec<Mail>>>, refused: Arc<AtomicUsize>) {
    let work = talk(stream, mails, refused);
    let _ = tokio::time::timeout(Duration::from_mins(1), work).await;
}

async fn talk(
    stream: TcpStream,
    mails: Arc<Mutex<Vec<Mail>>>,
    refused: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.test\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let upper = line.to_ascii_uppercase();
        let answer: &[u8] = if upper.starts_with("EHLO") {
            b"250-mail.test\r\n250 8BITMIME\r\n"
        } else if upper.starts_with("RCPT TO:") {
            to = line[8..].trim().trim_matches(['<', '>']).to_owned();
            if to.starts_with("refused@") {
                refused.fetch_add(1, Ordering::SeqCst);
                b"550 no\r\n"
            } else {
                b"250 ok\r\n"
            }
        } else if upper == "DATA" {
            write.write_all(b"354 go on\r\n").await?;
            let mut text = String::new();
            while let Some(line) = lines.next_line().await? {
                if line == "." {
                    break;
                }
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push_str("\r\n");
            }
            // Quoted-printable, as far as these texts need it.
            let text = text.replace("=\r\n", "").replace("=3D", "=").replace("=3d", "=");
            mails.lock().unwrap().push(Mail { to: to.clone(), text });
            b"250 taken\r\n"
        } else if upper == "QUIT" {
            write.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            b"250 ok\r\n"
        };
        write.write_all(answer).await?;
    }
    Ok(())
}
