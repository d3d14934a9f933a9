//! x
fn main() {
    #![allow(clippy::all)]
    use flow::trace::*;
    netlab::enter_user_namespace().unwrap();
    let _n = netlab::PrivateNetwork::enter().unwrap();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let log = std::sync::Arc::new(std::sync::Mutex::new(flow::event::Log::default()));
    let l2 = log.clone();
    let mut s = Session::new(Options::default(), Box::new(move |e| l2.lock().unwrap().events.push(e)));
    s.capture(Default::default()).unwrap();
    for side in args.split(|a| a == "--").filter(|s| !s.is_empty()) {
        s.add(flow::side_name(side), Program::new(side.to_vec()));
    }
    if let Err(e) = s.run() { println!("{e}"); }
    drop(s);
    //flow::json::write(&mut std::io::stdout(), &log.lock().unwrap()).unwrap();
    print!("{}", flow::draw::text(&log.lock().unwrap(), &flow::draw::Options::default()));
}
