//! Addresses, waits, and whom a client trusts.

use super::*;
use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::scope,
};

#[test]
fn an_address_is_refused_by_what_is_wrong_with_it_and_never_shows_a_password() {
    for (url, what) in [
        ("localhost:9200", "begins neither"),
        ("ftp://a", "begins neither"),
        ("http://", "is not one"),
        ("https://user:secret@a:9200", "holds credentials"),
        ("http://a/?x=1", "has a query"),
    ] {
        let error = node(url).unwrap_err().to_string();
        assert!(error.contains(what), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(node("http://a:9200/b/").unwrap().url, "http://a:9200/b");
    assert!(Client::new::<&str>(&[], &ElasticOptions::new()).is_err());
    let empty = ElasticOptions::new().ca("no certificate");
    assert!(Client::new(&["https://a"], &empty).unwrap_err().to_string().contains("there is none"));
}

#[test]
fn nobody_at_a_port_was_sent_nothing() {
    // Nobody listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(&[format!("http://127.0.0.1:{port}")], &ElasticOptions::new()).unwrap();
    let failure = client.send(Method::Post, "/_bulk", "application/x-ndjson", b"{}").unwrap_err();
    assert!(failure.is_unsent, "{failure:?}");
}

#[test]
fn a_wait_is_understood_in_seconds() {
    let mut headers = HeaderMap::new();
    for (value, wait) in [("3", Some(3)), (" 7 ", Some(7)), ("999999", Some(3_600)), ("soon", None)] {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        assert_eq!(retry_after(&headers), wait.map(Duration::from_secs));
    }
}

/// A server of one request, with a certificate of its own; gives its address and the certificate.
fn secure_server(answer: impl FnOnce(&str, &str)) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    scope(|scope| {
        scope.spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(config).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut request = [0; 4096];
            // A client that does not trust it sends nothing.
            if stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                    .unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        answer(&url, &made.cert.pem());
    });
}

#[test]
fn a_server_is_trusted_by_the_certificates_that_were_given_and_sent_nothing_without() {
    secure_server(|url, certificate| {
        let client = Client::new(&[url], &ElasticOptions::new().ca(certificate)).unwrap();
        let answer = client.send(Method::Put, "/x", "application/json", b"{}").unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"{}"[..]));
    });
    secure_server(|url, _| {
        let client = Client::new(&[url], &ElasticOptions::new()).unwrap();
        let failure = client.send(Method::Put, "/x", "application/json", b"{}").unwrap_err();
        assert!(failure.is_unsent && failure.reason.contains("certificate"), "{failure:?}");
    });
}
