//! A peer: glommio (io_uring, one thread). Its argument is the port.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutor, spawn_local};

fn main() {
    let port = std::env::args().nth(1).unwrap_or_default();
    LocalExecutor::default().run(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("listen");
        while let Ok(stream) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            spawn_local(echo(stream)).detach();
        }
    });
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
