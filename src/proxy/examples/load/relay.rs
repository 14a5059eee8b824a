//! The least a gateway can do: it hands bytes on and looks at nothing. What it takes is the floor of the host it runs on.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves until it is killed: every connection gets one to `upstream`, and bytes go both ways as they come.
pub(crate) async fn serve(listen: &str, upstream: &str) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on `{listen}`: {error}"))?;
    loop {
        let Ok((caller, _)) = listener.accept().await else { continue };
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            // A connection that breaks is over; whoever drives the load names the answers that are missing.
            let _ = between(caller, &upstream).await;
        });
    }
}

async fn between(caller: TcpStream, upstream: &str) -> std::io::Result<()> {
    let provider = TcpStream::connect(upstream).await?;
    caller.set_nodelay(true)?;
    provider.set_nodelay(true)?;
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_provider, mut to_provider) = provider.into_split();
    let there = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match from_caller.read(&mut bytes).await? {
                0 => return to_provider.shutdown().await,
                count => to_provider.write_all(&bytes[..count]).await?,
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match from_provider.read(&mut bytes).await? {
                0 => return to_caller.shutdown().await,
                count => to_caller.write_all(&bytes[..count]).await?,
            }
        }
    };
    let (there, back) = tokio::join!(there, back);
    there.and(back)
}
