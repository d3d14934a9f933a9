//! Runs the `flow` program on real programs, and checks what it draws, that they behave
//! as they do untraced, and that the calls are those that strace sees.
//!
//! A test that needs a program which is not installed is reported as ignored, with the
//! name of the program.

#![allow(clippy::expect_used, reason = "a test fails by panic; this harness is its own")]

#[cfg(target_os = "linux")]
mod behaviour;
#[cfg(target_os = "linux")]
mod causes;
#[cfg(target_os = "linux")]
mod conversations;
#[cfg(target_os = "linux")]
mod lines;
#[cfg(target_os = "linux")]
mod owners;
#[cfg(target_os = "linux")]
mod seldom;
#[cfg(target_os = "linux")]
mod strace;
#[cfg(target_os = "linux")]
mod strangers;
#[cfg(target_os = "linux")]
mod surprises;
#[cfg(target_os = "linux")]
mod telling;
#[cfg(target_os = "linux")]
mod tool;
#[cfg(target_os = "linux")]
mod wire;

use libtest_mimic::{Arguments, Trial};

/// If this variable is set, this test program acts as the program with which tokio is
/// tested.
#[cfg(target_os = "linux")]
const TOKIO: &str = "FLOW_LIVE_TOKIO";

/// An echo whose server and client are tasks of one runtime.
#[cfg(target_os = "linux")]
fn tokio_echo() -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_io().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await?;
            let mut text = [0; 5];
            connection.read_exact(&mut text).await?;
            connection.write_all(&text).await
        });
        let mut client = TcpStream::connect(address).await?;
        client.set_nodelay(true)?;
        client.write_all(b"hello").await?;
        client.shutdown().await?;
        client.read_to_end(&mut Vec::new()).await?;
        server.await?
    })
}

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    if std::env::var_os(TOKIO).is_some() {
        tokio_echo().expect("echo");
        return std::process::ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    #[cfg(target_os = "linux")]
    {
        trials.extend(behaviour::trials());
        trials.extend(causes::trials());
        trials.extend(conversations::trials());
        trials.extend(lines::trials());
        trials.extend(owners::trials());
        trials.extend(seldom::trials());
        trials.extend(strace::trials());
        trials.extend(surprises::trials());
        trials.extend(wire::trials());
        trials.extend(strangers::trials());
        trials.extend(telling::trials());
    }
    #[cfg(not(target_os = "linux"))]
    trials.push(Trial::test("tracing_needs_linux", || Ok(())).with_ignored_flag(true));
    libtest_mimic::run(&arguments, trials).exit_code()
}
