//! What attempts are to reach: servers that give back what claw's own attempts send, and nothing to anybody else.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;

use crate::PATIENCE;

/// What an attempt says; whoever says something else gets no answer.
pub(crate) const WORD: &[u8] = b"claw: is anybody there?\n";

/// The name that is asked of [`names`].
pub const NAME: &str = "claw-doctor.example";

/// Answers on connections, each with what it began with.
pub fn tcp(listener: TcpListener) {
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut said = [0; WORD.len()];
                let is_ours = stream.set_read_timeout(Some(PATIENCE)).is_ok()
                    && stream.read_exact(&mut said).is_ok()
                    && said == WORD;
                if is_ours {
                    // Whoever left does not wait for it.
                    let _ = stream.write_all(&said);
                }
            });
        }
    });
}

/// Answers datagrams with themselves.
pub fn udp(socket: UdpSocket) {
    answer(socket, |said| (said == WORD).then(|| said.to_vec()));
}

/// Answers questions for [`NAME`] with an address.
pub fn names(socket: UdpSocket) {
    let asked = super::net::question(NAME);
    answer(socket, move |said| {
        (said == asked).then(|| {
            let mut answer = said.to_vec();
            // A response, one answer: the name of the question, A, IN, no seconds, four bytes.
            answer[2] |= 0x80;
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
            answer
        })
    });
}

fn answer(socket: UdpSocket, reply: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
    thread::spawn(move || {
        let mut said = [0; 512];
        loop {
            // An error is about an earlier answer that nobody took.
            let Ok((size, from)) = socket.recv_from(&mut said) else { continue };
            if let Some(answer) = reply(&said[..size]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// Answers at a port over TCP and UDP.
///
/// # Errors
/// Where the port is taken.
pub fn listen(port: u16) -> io::Result<()> {
    tcp(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?);
    udp(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?);
    Ok(())
}
