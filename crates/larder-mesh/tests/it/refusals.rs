//! Who is not let in, what is said of it, and that it costs nobody else anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use larder_mesh::{ClusterName, Config, Secret, State, Tls};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use crate::support::{LIMIT, Node, SECRET, World, config, joining, wait, wait_all_alive};

/// Everything that this process has logged, whichever test caused it.
fn logged() -> Arc<Mutex<Vec<u8>>> {
    #[derive(Clone)]
    struct Into(Arc<Mutex<Vec<u8>>>);
    impl Write for Into {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = Into(Arc::clone(&log));
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || into.clone());
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        log
    });
    Arc::clone(log)
}

fn plain(name: &str) -> Config {
    Config {
        tls: Tls::Off,
        ..config(name)
    }
}

#[test]
fn a_wrong_secret_is_refused_and_said_once_without_the_secret() {
    let log = logged();
    let world = World::new();
    let a = world.start(config("wanted"));
    let mut wrong = joining("unwanted", &[&a.address()]);
    let other_secret = "another secret, ABCDEFGHIJKLMN";
    wrong.secret = Secret::new(other_secret).unwrap();
    let b = world.start(wrong);
    wait("several attempts", || {
        a.refused("wrong_secret") >= 3 && b.refused("wrong_secret") >= 3
    });
    assert_eq!((a.mesh.members(), b.mesh.members()), (vec![], vec![]));
    let log = String::from_utf8(log.lock().clone()).unwrap();
    let said_by_a = log.lines().filter(|line| line.contains("secrets differ"));
    let said_by_a = said_by_a.filter(|line| line.contains("unwanted")).count();
    let address = format!("address={}", a.address());
    let said_by_b = log
        .lines()
        .filter(|line| line.contains(&address) && line.contains("secrets"));
    assert_eq!((said_by_a, said_by_b.count()), (1, 1), "{log}");
    assert!(!log.contains(SECRET) && !log.contains(other_secret));
}

#[test]
fn another_cluster_and_a_name_that_is_taken_are_refused() {
    let world = World::new();
    let a = world.start(config("a"));
    let b = world.start(joining("b", &[&a.address()]));
    wait_all_alive(&[&a, &b]);
    let mut foreign = joining("c", &[&a.address()]);
    foreign.cluster = ClusterName::new("others").unwrap();
    let foreign = world.start(foreign);
    wait("a refusal", || foreign.refused("other_cluster") > 0);
    let second_b = world.start(joining("b", &[&a.address()]));
    let second_a = world.start(joining("a", &[&a.address()]));
    wait("refusals", || {
        second_b.refused("name_taken") > 1 && second_a.refused("name_taken") > 1
    });
    for refused in [&foreign, &second_a, &second_b] {
        assert_eq!(refused.told().len(), 0);
    }
    // The holder of the name has noticed nothing, and when it goes the name is free.
    assert_eq!(
        (a.ups("b"), a.downs()),
        (vec![b.mesh.incarnation()], vec![])
    );
    world.shutdown(&b);
    wait("the successor", || a.ups("b").len() == 2);
    assert_eq!(a.ups("b")[1], second_b.mesh.incarnation());
}

#[test]
fn nodes_with_and_without_tls_refuse_each_other_and_say_why() {
    let world = World::new();
    let (with, without) = (world.start(config("with")), world.start(plain("without")));
    without.mesh.connect(&with.address());
    wait("a refusal", || {
        with.refused("tls") > 0 && without.refused("tls") > 0
    });
    with.mesh.connect(&without.address());
    wait("the other way", || without.refused("tls") > 1);
    assert_eq!(with.alive() + without.alive(), 0);
}

/// Sends these bytes and reads what comes back, until the node closes.
fn answer_to(node: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(node).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // A node that has seen enough closes while we still write.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    answer
}

/// Whether the node still lets others in.
fn serves(world: &World, node: &Node, name: &str, tls: &Tls) {
    let mut config = joining(name, &[&node.address()]);
    config.tls = tls.clone();
    let honest = world.start(config);
    wait("an honest node", || node.is(name, State::Alive));
    world.shutdown(&honest);
}

#[test]
fn garbage_closes_its_connection_and_nothing_else() {
    let world = World::new();
    for tls in [Tls::Off, Tls::Secret] {
        let node = world.start(Config {
            tls: tls.clone(),
            ..config("node")
        });
        let at = node.mesh.address();
        let cases: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x01\x10",
            b"\0\0\0\x21\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            b"\0\0\0\x02\x01x",
            &[0x16; 3_000],
        ];
        for bytes in cases {
            let answer = answer_to(at, bytes);
            assert!(answer.len() < 100, "{} bytes", answer.len());
        }
        wait("the counts", || {
            node.refused("unreadable") + node.refused("tls") == cases.len() as u64
        });
        serves(&world, &node, "honest", &tls);
    }
}

#[test]
fn no_bytes_end_a_node() {
    let world = World::new();
    let node = world.start(plain("node"));
    let at = node.mesh.address();
    let mut runner = TestRunner::new(Cases {
        cases: 200,
        failure_persistence: None,
        ..Cases::default()
    });
    // Half of them begin as a hello does, so that they come further.
    let begins = prop_oneof![
        Just(vec![]),
        Just(b"\0\0\0\x60\x01LDRMESH1\x05tests\0\x01\0\x01".to_vec())
    ];
    let bytes = (begins, proptest::collection::vec(any::<u8>(), 0..400));
    let ran = runner.run(&bytes, |(begin, rest)| {
        answer_to(at, &[begin, rest].concat());
        Ok(())
    });
    ran.unwrap();
    serves(&world, &node, "honest", &Tls::Off);
}

#[test]
fn who_does_not_go_on_is_cut_off_in_time_and_cannot_keep_others_out() {
    let world = World::new();
    let mut config = plain("node");
    config.limits.greetings = 4;
    config.timing.greeting = Duration::from_millis(500);
    let node = world.start(config);
    let slow: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = TcpStream::connect(node.mesh.address()).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            // A byte, and no more; some of them are closed already.
            let _ = stream.write_all(b"\0");
            stream
        })
        .collect();
    for mut stream in slow {
        let mut byte = [0];
        let end = stream.read(&mut byte);
        let is_closed = end.as_ref().map_or_else(
            |error| error.kind() == std::io::ErrorKind::ConnectionReset,
            |count| *count == 0,
        );
        assert!(is_closed, "{end:?}");
    }
    // Half of the places, for one host; all others were turned away at the door.
    wait("the count", || {
        (node.refused("late"), node.refused("crowded")) == (2, 8)
    });
    serves(&world, &node, "honest", &Tls::Off);
}
