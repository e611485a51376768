//! What arrives of each answer, and what is recorded of each request.

use crate::{
    client::Client,
    http::{Answer, FakeServer, Gate, Reading, Request, Response, Setup},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::{
    io::{ErrorKind, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

fn hello() -> Response {
    Response::text(200, "text/plain", "0123456789")
}

/// A server that gives every request this answer, and a client of it that has sent one.
fn asked(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (FakeServer, Client) {
    let server = FakeServer::start(move |_| answer());
    let mut client = Client::connect(server.address());
    client.post("/a/_bulk", "body\n");
    (server, client)
}

#[test]
fn one_connection_carries_request_after_request() {
    let server = FakeServer::start(|request| {
        Response::text(200, "text/plain", &format!("{} {}", request.number, request.text())).into()
    });
    let mut client = Client::connect(server.address());
    for number in 0..3 {
        client.post("/_bulk?refresh=true", &format!("body {number}"));
        assert_eq!(client.answer().body, format!("{number} body {number}").into_bytes());
    }
    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!((requests[2].method.as_str(), requests[2].path.as_str()), ("POST", "/_bulk?refresh=true"));
    assert_eq!((requests[2].route(), requests[2].header("host")), ("/_bulk", Some("x")));
    assert!(requests.iter().all(|request| request.whole && request.connection == 0));
}

#[test]
fn a_body_in_chunks_and_compressed_is_recorded_as_it_was() {
    let server = FakeServer::start(|_| hello().into());
    let mut client = Client::connect(server.address());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"a long body, a long body, a long body").unwrap();
    let compressed = encoder.finish().unwrap();
    client
        .send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n");
    let (first, second) = compressed.split_at(7);
    for chunk in [first, second] {
        client.send(format!("{:X};name=value\r\n", chunk.len()).as_bytes());
        client.send(chunk);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let [request] = <[Request; 1]>::try_from(server.requests()).unwrap();
    assert_eq!(request.text(), "a long body, a long body, a long body");
    assert_eq!(request.sent_bytes, compressed.len());
}

#[test]
fn an_answer_is_compressed_and_in_chunks_where_the_script_says() {
    let (_server, mut client) = asked(|| hello().gzip().chunked(3).into());
    let seen = client.answer();
    let mut text = String::new();
    GzDecoder::new(&*seen.body).read_to_string(&mut text).unwrap();
    assert_eq!(text, "0123456789");
    assert!(seen.headers.contains(&"content-encoding: gzip".to_owned()));
}

#[test]
fn an_answer_waits_at_its_gate_while_its_request_is_recorded() {
    let gate = Gate::new();
    let (server, mut client) = asked({
        let gate = gate.clone();
        move || Answer::from(hello()).after(&gate)
    });
    assert_eq!(server.wait_for(1)[0].text(), "body\n");
    client.stream().set_nonblocking(true).unwrap();
    assert_eq!(client.stream().read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.stream().set_nonblocking(false).unwrap();
    gate.open();
    assert_eq!(client.answer().body, b"0123456789");
}

#[test]
fn a_request_that_is_closed_on_has_no_answer() {
    let (_server, mut client) = asked(|| Answer::Close);
    assert_eq!(client.rest().unwrap(), "");
}

#[test]
fn a_request_that_is_reset_tells_the_client_so() {
    let (server, mut client) = asked(|| Answer::Reset);
    assert_eq!(client.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn half_an_answer_says_the_length_of_all_of_it() {
    let (_server, mut client) = asked(|| Answer::half(hello()));
    let rest = client.rest().unwrap();
    assert!(rest.contains("content-length: 10\r\n") && rest.ends_with("\r\n\r\n01234"), "{rest:?}");
}

#[test]
fn an_answer_in_chunks_is_cut_within_one() {
    let (_server, mut client) = asked(|| Answer::Cut(hello().chunked(4), 5));
    let rest = client.rest().unwrap();
    assert!(rest.ends_with("\r\n\r\n4\r\n01"), "{rest:?}");
}

#[test]
fn a_length_may_be_another_than_the_bodys() {
    for length in [4, 40] {
        let (_server, mut client) = asked(move || Answer::WrongLength(hello(), length));
        let rest = client.rest().unwrap();
        let says = format!("content-length: {length}\r\n");
        assert!(rest.contains(&says) && rest.ends_with("\r\n\r\n0123456789"), "{rest:?}");
    }
}

#[test]
fn raw_bytes_are_sent_as_they_are() {
    let (_server, mut client) = asked(|| Answer::Raw(b"SSH-2.0-x\r\n".to_vec()));
    assert_eq!(client.rest().unwrap(), "SSH-2.0-x\r\n");
}

#[test]
fn a_request_is_cut_off_in_the_midst_of_its_body() {
    for reading in [Reading::Close { after: 10 }, Reading::Reset { after: 10 }] {
        let server = {
            let reading = reading.clone();
            let setup = Setup::default().reading(move |_| reading.clone());
            setup.start(|_| panic!("nobody asks after a request that was not read"))
        };
        let mut client = Client::connect(server.address());
        client.send(b"POST /_bulk HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
        client.send(&[b'x'; 500]);
        let seen = client.rest();
        assert!(
            matches!(&seen, Ok(rest) if rest.is_empty())
                || seen.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
        );
        let request = &server.requests()[0];
        assert_eq!((request.body.len(), request.whole), (10, false), "{reading:?}");
    }
}

#[test]
fn an_early_answer_is_read_by_a_client_that_is_still_sending() {
    let early = |request: &Request| match request.header("content-length") {
        Some(length) if length.len() > 6 => Reading::Early(Response::empty(413).into()),
        _ => Reading::Whole,
    };
    let server = Setup::default().reading(early).start(|_| hello().into());
    let mut client = Client::connect(server.address());
    client.request("POST", "/_bulk", "", &vec![b'x'; 8 << 20]);
    assert_eq!((client.answer().status, client.rest().unwrap()), (413, String::new()));
    let mut client = Client::connect(server.address());
    client.request("POST", "/_bulk", "", b"x");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_asks_whether_to_go_on_is_told_to() {
    let server = FakeServer::start(|_| hello().into());
    let mut client = Client::connect(server.address());
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send(b"ab");
    assert_eq!((client.answer().status, server.requests()[0].text()), (200, "ab"));
}

#[test]
fn what_hangs_is_let_go_when_the_server_ends() {
    let (server, mut client) = asked(|| Answer::Hang(Gate::new()));
    server.wait_for(1);
    drop(server);
    assert_eq!(client.rest().unwrap(), "");
}

#[test]
fn what_hangs_is_closed_when_the_test_lets_go() {
    let gate = Gate::new();
    let (_server, mut client) = asked({
        let gate = gate.clone();
        move || Answer::Hang(gate.clone())
    });
    gate.open();
    assert_eq!(client.rest().unwrap(), "");
}

#[test]
fn idle_connections_are_closed_and_another_server_takes_the_place() {
    let (server, mut client) = asked(|| hello().into());
    assert_eq!(client.answer().status, 200);
    server.close_connections();
    assert_eq!(client.rest().unwrap(), "");
    let address = server.address();
    drop(server);
    let _server = Setup::default().at(address).start(|_| Response::empty(503).into());
    let mut client = Client::connect(address);
    client.post("/_bulk", "");
    assert_eq!(client.answer().status, 503);
}

#[test]
fn a_record_that_forgets_bodies_still_counts() {
    let server = Setup::default().forgetting_bodies().start(|request| {
        assert_eq!(request.text(), "body");
        hello().into()
    });
    let mut client = Client::connect(server.address());
    client.post("/", "body");
    client.answer();
    assert_eq!((server.requests()[0].body.len(), server.requests()[0].sent_bytes), (0, 4));
}

#[test]
fn a_script_that_panics_fails_its_test() {
    let (mut server, mut client) = asked(|| panic!("the script is wrong"));
    assert_eq!(client.rest().unwrap(), "", "the client is not left waiting");
    assert!(catch_unwind(AssertUnwindSafe(|| server.shut_down())).is_err());
}

#[test]
fn a_client_that_breaks_http_fails_its_test() {
    let broken: [&[u8]; 4] = [
        b"POST /_bulk\r\n\r\n",
        b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: two\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
    ];
    for bytes in broken {
        let mut server = FakeServer::start(|_| hello().into());
        let mut client = Client::connect(server.address());
        client.send(bytes);
        // Closed with an end, or with a reset where not everything was read.
        let _ = client.rest();
        assert!(catch_unwind(AssertUnwindSafe(|| server.shut_down())).is_err(), "{bytes:?}");
    }
}
