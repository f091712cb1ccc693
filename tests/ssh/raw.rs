//! A server made by hand, for messages that no server here sends: one key exchange (curve25519-sha256), one cipher (aes128-gcm), and whatever a test answers to
//! requests for a login. RFC 4253, 5656, 5647, 4252.

use std::io::{Read, Write};
use std::net::TcpStream;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::common::Port;

const VERSION: &str = "SSH-2.0-raw";

/// The messages, by their numbers.
pub(crate) const FAILURE: u8 = 51;
pub(crate) const SUCCESS: u8 = 52;
pub(crate) const CHANGE: u8 = 60;

/// A string of the protocol.
pub(crate) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

/// A message that says which methods go on.
pub(crate) fn failure(methods: &str) -> Vec<u8> {
    [&[FAILURE][..], &string(methods), &[0]].concat()
}

/// The server, and its public key as known_hosts has it. `answer` is given the method of each request for a login, and what it returns is sent.
pub(crate) fn server(answer: impl Fn(&str) -> Vec<Vec<u8>> + Clone + Send + 'static) -> (Port, String) {
    let seed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let seed: Vec<u8> = seed.as_ref().to_vec();
    let key = Ed25519KeyPair::from_pkcs8(&seed).expect("a key");
    let blob = host_key(&key);
    let line = format!("ssh-ed25519 {}", data_encoding::BASE64.encode(&blob));
    let port = Port::serve(move |stream| {
        let (seed, answer) = (seed.clone(), answer.clone());
        // It ends with its connection.
        std::thread::spawn(move || {
            let key = Ed25519KeyPair::from_pkcs8(&seed).expect("a key");
            let _ = converse(stream, &key, &answer);
        });
    });
    (port, line)
}

fn host_key(key: &Ed25519KeyPair) -> Vec<u8> {
    [string("ssh-ed25519"), string(key.public_key())].concat()
}

fn converse(mut stream: TcpStream, key: &Ed25519KeyPair, answer: &impl Fn(&str) -> Vec<Vec<u8>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(format!("{VERSION}\r\n").as_bytes())?;
    let mut client = Vec::new();
    while !client.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        client.push(byte[0]);
    }
    let client = String::from_utf8_lossy(&client).trim_end().to_owned();

    let lists = [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes128-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    let ours = [&[20][..], &[7; 16], &lists.map(string).concat(), &[0; 5]].concat();
    send_plain(&mut stream, &ours)?;
    let theirs = receive_plain(&mut stream)?;
    let init = receive_plain(&mut stream)?;
    assert_eq!(init[0], 30, "not a key exchange by elliptic curves");
    let point = &init[5..];

    let secret = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("a secret");
    let own = secret.compute_public_key().expect("a point");
    let shared = agree_ephemeral(secret, &UnparsedPublicKey::new(&X25519, point), mpint).expect("agreed");
    let blob = host_key(key);
    let parts = [
        string(&client),
        string(VERSION),
        string(&theirs),
        string(&ours),
        string(&blob),
        string(point),
        string(&own),
        shared.clone(),
    ];
    let hash = digest(&SHA256, &parts.concat());
    let signature = [string("ssh-ed25519"), string(key.sign(hash.as_ref()))].concat();
    send_plain(&mut stream, &[vec![31], string(&blob), string(&own), string(&signature)].concat())?;
    send_plain(&mut stream, &[21])?;
    assert_eq!(receive_plain(&mut stream)?, [21]);

    let derive = |letter: u8, length: usize| {
        let bytes = digest(&SHA256, &[&shared, hash.as_ref(), &[letter], hash.as_ref()].concat());
        bytes.as_ref()[..length].to_vec()
    };
    let mut incoming = Sealed::new(&derive(b'C', 16), &derive(b'A', 12));
    let mut outgoing = Sealed::new(&derive(b'D', 16), &derive(b'B', 12));
    loop {
        let message = incoming.receive(&mut stream)?;
        let replies = match message[0] {
            // The service that is asked for.
            5 => vec![[&[6][..], &message[1..]].concat()],
            50 => answer(&method(&message)),
            _ => Vec::new(),
        };
        for reply in replies {
            outgoing.send(&mut stream, &reply)?;
        }
    }
}

/// The method of a request: the third string.
fn method(message: &[u8]) -> String {
    let mut rest = &message[1..];
    let mut word = &rest[..0];
    for _ in 0..3 {
        let length = u32::from_be_bytes(rest[..4].try_into().expect("four")) as usize;
        word = &rest[4..4 + length];
        rest = &rest[4 + length..];
    }
    String::from_utf8_lossy(word).into_owned()
}

/// A number as the hash has it.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[first..];
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { string([&[0], bytes].concat()) } else { string(bytes) }
}

/// A packet without its length: the length of the padding, the message, the padding.
fn padded(message: &[u8], block: usize, beside: usize) -> Vec<u8> {
    let mut padding = block - (beside + 1 + message.len()) % block;
    if padding < 4 {
        padding += block;
    }
    [&[u8::try_from(padding).expect("short")][..], message, &vec![0; padding]].concat()
}

fn send_plain(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(&string(padded(message, 8, 4)))
}

fn receive_plain(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut packet)?;
    Ok(packet[1..packet.len() - usize::from(packet[0])].to_vec())
}

/// One direction, encrypted.
struct Sealed {
    key: LessSafeKey,
    fixed: [u8; 4],
    counter: u64,
}

impl Sealed {
    fn new(key: &[u8], iv: &[u8]) -> Self {
        Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect("a key")),
            fixed: iv[..4].try_into().expect("four"),
            counter: u64::from_be_bytes(iv[4..].try_into().expect("eight")),
        }
    }

    fn nonce(&mut self) -> Nonce {
        let bytes = [&self.fixed[..], &self.counter.to_be_bytes()].concat();
        self.counter = self.counter.wrapping_add(1);
        Nonce::try_assume_unique_for_key(&bytes).expect("twelve")
    }

    fn send(&mut self, stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
        let mut packet = padded(message, 16, 0);
        let length = u32::try_from(packet.len()).expect("short").to_be_bytes();
        let nonce = self.nonce();
        self.key.seal_in_place_append_tag(nonce, Aad::from(length), &mut packet).expect("sealed");
        stream.write_all(&[&length[..], &packet].concat())
    }

    fn receive(&mut self, stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut packet = vec![0; u32::from_be_bytes(length) as usize + AES_128_GCM.tag_len()];
        stream.read_exact(&mut packet)?;
        let nonce = self.nonce();
        let plain = self.key.open_in_place(nonce, Aad::from(length), &mut packet).expect("sealed by the client");
        Ok(plain[1..plain.len() - usize::from(plain[0])].to_vec())
    }
}
