//! Greetings between honest nodes, wrong ones and liars.

use super::*;

const PLAIN: Binding = Binding::Plain;

fn node(name: &str) -> Identity {
    Identity {
        cluster: ClusterName::new("c").unwrap(),
        name: NodeName::new(name).unwrap(),
        incarnation: Incarnation(name.len() as u64),
        versions: Versions {
            oldest: 1,
            newest: 3,
        },
        reach: Reach::Port(7400),
        secret: Secret::new("0123456789abcdef").unwrap(),
    }
}

/// Runs a greeting to its end, each side with its own session below.
fn greet(
    dialler: (&Identity, Binding),
    acceptor: (&Identity, Binding),
) -> Result<(Other, Other), Refusal> {
    let (dialling, hello) = Dialler::begin(dialler.0, [1; 32], dialler.1);
    let (accepting, challenge) = Acceptor::begin(acceptor.0, hello, [2; 32], acceptor.1)?;
    let dialling = dialling.challenged(dialler.0, challenge)?;
    let Message::Proof(proof) = dialling.proof(dialler.0) else {
        panic!("a proof");
    };
    let (theirs, welcome) = accepting.proven(acceptor.0, &proof)?;
    let Message::Welcome(welcome) = welcome else {
        panic!("a welcome");
    };
    Ok((dialling.welcomed(dialler.0, &welcome)?, theirs))
}

#[test]
fn nodes_of_one_cluster_know_each_other_and_the_newest_version_of_both() {
    let (a, mut b) = (node("a"), node("bb"));
    b.versions = Versions {
        oldest: 2,
        newest: 9,
    };
    let (seen_by_a, seen_by_b) = greet((&a, PLAIN), (&b, PLAIN)).unwrap();
    assert_eq!((seen_by_a.name, seen_by_a.version), (b.name, 3));
    assert_eq!((seen_by_b.name, seen_by_b.version), (a.name, 3));
    assert_eq!(seen_by_b.incarnation, Incarnation(1));
}

#[test]
fn who_cannot_belong_is_told_why() {
    let a = node("a");
    let other = |change: fn(&mut Identity)| {
        let mut other = node("bb");
        change(&mut other);
        greet((&other, PLAIN), (&node("a"), PLAIN)).unwrap_err()
    };
    type Row = (fn(&mut Identity), Refusal);
    let rows: [Row; 4] = [
        (
            |node| node.secret = Secret::new("0123456789abcdeF").unwrap(),
            Refusal::WrongSecret,
        ),
        (
            |node| node.cluster = ClusterName::new("d").unwrap(),
            Refusal::OtherCluster,
        ),
        (
            |node| {
                node.versions = Versions {
                    oldest: 4,
                    newest: 5,
                }
            },
            Refusal::NoCommonVersion,
        ),
        (
            |node| node.name = NodeName::new("a").unwrap(),
            Refusal::NameTaken,
        ),
    ];
    for (change, refusal) in rows {
        assert_eq!(other(change), refusal);
    }
    assert_eq!(greet((&a, PLAIN), (&a, PLAIN)), Err(Refusal::Itself));
}

#[test]
fn a_greeting_passed_on_between_two_tls_sessions_fails() {
    let (a, b) = (node("a"), node("bb"));
    let one = Binding::Tls([1; 32]);
    assert!(greet((&a, one), (&b, one)).is_ok());
    for other in [Binding::Tls([2; 32]), PLAIN] {
        assert_eq!(greet((&a, one), (&b, other)), Err(Refusal::WrongSecret));
    }
}

#[test]
fn a_proof_is_good_for_one_greeting_only() {
    let (a, b) = (node("a"), node("bb"));
    let (dialling, hello) = Dialler::begin(&a, [1; 32], PLAIN);
    let (_, first) = Acceptor::begin(&b, hello.clone(), [2; 32], PLAIN).unwrap();
    let heard = dialling.challenged(&a, first).unwrap().proof(&a);
    let Message::Proof(heard) = heard else {
        panic!("a proof");
    };
    // Somebody plays the hello and the proof again; the acceptor's nonce is another.
    let (again, _) = Acceptor::begin(&b, hello, [3; 32], PLAIN).unwrap();
    assert_eq!(again.proven(&b, &heard).unwrap_err(), Refusal::WrongSecret);
}

#[test]
fn what_a_node_signs_does_not_help_against_itself_or_others() {
    let (a, b) = (node("a"), node("bb"));
    // A liar without the secret accepts a's greeting in the name of b, and answers with the proof
    // that it got: the roles differ.
    let (dialling, _) = Dialler::begin(&a, [1; 32], PLAIN);
    let challenge = Message::Challenge(card(&b, [2; 32]));
    let dialling = dialling.challenged(&a, challenge).unwrap();
    let Message::Proof(proof) = dialling.proof(&a) else {
        panic!("a proof");
    };
    assert_eq!(dialling.welcomed(&a, &proof), Err(Refusal::WrongSecret));
    // It sends a's own hello back to a.
    let (_, hello) = Dialler::begin(&a, [1; 32], PLAIN);
    let refused = Acceptor::begin(&a, hello, [2; 32], PLAIN).err();
    assert_eq!(refused, Some(Refusal::Itself));
}

#[test]
fn every_changed_field_breaks_the_proof() {
    let (a, b) = (node("a"), node("bb"));
    let changes: [fn(&mut Card); 5] = [
        |card| card.name = NodeName::new("c").unwrap(),
        |card| card.incarnation = Incarnation(99),
        |card| card.reach = Reach::Port(1),
        |card| card.versions.newest = 2,
        |card| card.nonce[31] ^= 1,
    ];
    for change in changes {
        let (dialling, hello) = Dialler::begin(&a, [1; 32], PLAIN);
        let Message::Hello(cluster, mut card) = hello else {
            panic!("a hello");
        };
        change(&mut card);
        let changed = Message::Hello(cluster, card);
        let (accepting, challenge) = Acceptor::begin(&b, changed, [2; 32], PLAIN).unwrap();
        let proof = dialling.challenged(&a, challenge).unwrap().proof(&a);
        let Message::Proof(proof) = proof else {
            panic!("a proof");
        };
        assert_eq!(
            accepting.proven(&b, &proof).unwrap_err(),
            Refusal::WrongSecret
        );
    }
}

#[test]
fn a_message_that_is_not_expected_ends_the_greeting() {
    let (a, b) = (node("a"), node("bb"));
    let (dialling, hello) = Dialler::begin(&a, [1; 32], PLAIN);
    assert!(dialling.challenged(&a, hello).is_err());
    assert!(Acceptor::begin(&b, Message::Proof([0; 32]), [2; 32], PLAIN).is_err());
}
