//! One simulated host.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Disconnect, MethodKind, MethodSet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Behaviour;
use super::door::Visit;
use crate::probe::replayed;

/// The longest script a simulated host takes, in bytes.
const LONGEST_SCRIPT: usize = 1 << 20;

/// Accepts connections for ever.
pub(super) async fn serve(listener: TcpListener, key: PrivateKey, allowed: Arc<PublicKey>, behaviour: Behaviour) {
    let methods = match &behaviour {
        Behaviour::Guarded(door, _) => Visit::new(door.clone()).methods(),
        _ => MethodSet::from(&[MethodKind::PublicKey][..]),
    };
    let config = Arc::new(Config {
        methods,
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        inactivity_timeout: Some(Duration::from_secs(600)),
        ..Config::default()
    });
    loop {
        // The only errors of accept are passing ones: a peer that was gone already, too many open files for the moment.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(converse(stream, config.clone(), allowed.clone(), behaviour.clone()));
    }
}

async fn converse(mut stream: TcpStream, config: Arc<Config>, allowed: Arc<PublicKey>, behaviour: Behaviour) {
    // A peer that ends the connection ends the conversation; there is nobody to tell.
    let _ = stream.set_nodelay(true);
    match behaviour {
        Behaviour::Refuse => {}
        Behaviour::Hang => {
            let _ = stream.read(&mut [0; 1024]).await;
            std::future::pending::<()>().await;
        }
        Behaviour::Garbage => {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\x00\xff\xfe\x1b[31m\r\n").await;
            let _ = stream.shutdown().await;
        }
        behaviour => {
            let visit = match &behaviour {
                Behaviour::Guarded(door, _) => Some(Visit::new(door.clone())),
                _ => None,
            };
            let host = Host { allowed, behaviour, visit, script: Vec::new(), answered: false };
            if let Ok(session) = russh::server::run_stream(config, stream, host).await {
                let _ = session.await;
            }
        }
    }
}

struct Host {
    allowed: Arc<PublicKey>,
    behaviour: Behaviour,
    /// How far this login has come at a guarded host.
    visit: Option<Visit>,
    script: Vec<u8>,
    answered: bool,
}

impl Handler for Host {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let welcome = !matches!(self.behaviour, Behaviour::Deny) && key.public_key.key_data() == self.allowed.key_data();
        Ok(match &mut self.visit {
            Some(visit) => visit.key(welcome),
            None if welcome => Auth::Accept,
            None => Auth::reject(),
        })
    }

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(self.visit.as_mut().map_or_else(Auth::reject, Visit::none))
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.visit.as_mut().map_or_else(Auth::reject, |visit| visit.password(password)))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.visit.as_mut().map_or_else(Auth::reject, |visit| visit.questions(response)))
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, channel: ChannelId, _: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        if self.script.len() + data.len() <= LONGEST_SCRIPT {
            self.script.extend_from_slice(data);
        }
        // A scanner with a password holds its end open, and the last line of a script ends the shell that reads it.
        if self.script.ends_with(b"; exit 0\n") { self.answer(channel, session) } else { Ok(()) }
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.answer(channel, session)
    }
}

impl Host {
    /// Answers the script, once.
    fn answer(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        if std::mem::replace(&mut self.answered, true) {
            return Ok(());
        }
        let script = String::from_utf8_lossy(&self.script).into_owned();
        match &self.behaviour {
            Behaviour::Stall => return Ok(()),
            Behaviour::Flood => {
                let handle = session.handle();
                tokio::spawn(async move { while handle.data(channel, vec![b'y'; 32 << 10]).await.is_ok() {} });
                return Ok(());
            }
            Behaviour::ForcedCommand => {
                session.data(channel, b"This account is only for backups.\n".to_vec())?;
            }
            Behaviour::Replay(answers)
            | Behaviour::ChangedKey(answers)
            | Behaviour::CutOff(answers)
            | Behaviour::Guarded(_, answers) => {
                let Some((mut stdout, stderr)) = replayed(&script, answers) else {
                    session.exit_status_request(channel, 127)?;
                    return session.close(channel);
                };
                if matches!(self.behaviour, Behaviour::CutOff(_)) {
                    stdout.truncate(stdout.len() / 2);
                    let handle = session.handle();
                    tokio::spawn(async move {
                        // Through the same queue, so that the end comes after what was said before it.
                        let _ = handle.extended_data(channel, 1, stderr).await;
                        let _ = handle.data(channel, stdout).await;
                        let _ = handle.disconnect(Disconnect::ByApplication, "cut off".to_owned(), String::new()).await;
                    });
                    return Ok(());
                }
                session.data(channel, stdout)?;
                session.extended_data(channel, 1, stderr)?;
            }
            Behaviour::Refuse | Behaviour::Hang | Behaviour::Garbage | Behaviour::Deny => {}
        }
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
