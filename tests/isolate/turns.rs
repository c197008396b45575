//! Whose messages a relay deals with next. Here the time that a message takes is what the test says, so each order is exact.

use serde_json::{Value, json};

use super::bare::Bare;

/// A queue as a node has it, and what follows from it.
const QUEUE: &str = "
    let clock = 0;
    performance.now = () => clock;
    const pieces = [];
    const sync = { peers: {}, processQueues() {} };
    const node = { syncManager: sync, storage: { streamingQueue: { push: (piece) => pieces.push(piece) } } };
    const guests = new Map();
    const turns = caro.newTurns(node, guests);
    // A client, or where nothing is said of it another relay.
    const connect = (id, guest) => {
        sync.peers[id] = { id };
        if (guest) guests.set(id, { id, isForMany: false, isFull: false, room: async () => {}, ...guest });
    };
    const send = (id, count) => {
        for (let n = 0; n < count; n += 1) turns.push({ action: 'load', id: 'co_zAnything', n }, sync.peers[id]);
    };
    // Deals with so many messages: whose they were, in order.
    const deal = (count, cost) => {
        const order = [];
        for (let entry; order.length < count && (entry = sync.messagesQueue.pull()); ) {
            order.push(entry.peer.id);
            turns.recordProcessingTime('load', cost(entry.peer.id));
        }
        return order;
    };
    const countOf = (order) => {
        const counts = {};
        for (const id of order) counts[id] = (counts[id] ?? 0) + 1;
        return counts;
    };
";

fn value(script: &str) -> Value {
    Bare::boot().value(&format!("{QUEUE}{script}"))
}

#[test]
fn an_account_has_one_share_however_many_connections_it_has() {
    let counts = value(
        "for (let n = 0; n < 50; n += 1) {
             connect(`many ${n}`, { first: 'co_zMany' });
             send(`many ${n}`, 100);
         }
         connect('one', { first: 'co_zOne' });
         send('one', 100);
         const order = deal(200, () => 0.25);
         const of = countOf(order);
         return [of.one, Object.values(of).filter((count) => count === 2).length];",
    );
    assert_eq!(counts, json!([100, 50]), "half of the messages, and the other half in turn by its connections");
}

#[test]
fn a_share_is_one_of_the_time_and_not_of_the_messages() {
    let counts = value(
        "for (const id of ['costly', 'cheap']) { connect(id, { account: id }); send(id, 1000); }
         return countOf(deal(1010, (id) => (id === 'costly' ? 10 : 0.125)));",
    );
    // 1,000 take 125 ms.
    let costly = counts["costly"].as_u64().unwrap();
    assert!((11..=13).contains(&costly), "{counts}");
}

#[test]
fn who_comes_again_and_again_with_one_costly_message_has_no_more_than_his_share() {
    let costly = value(
        "for (const id of ['costly', 'busy']) connect(id, { account: id });
         send('busy', 1000);
         let costly = 0;
         for (let busy = 0; busy < 500; ) {
             if (!turns.of(guests.get('costly'))) send('costly', 1);
             const [id] = deal(1, (id) => (id === 'costly' ? 20 : 1));
             if (id === 'busy') busy += 1; else costly += 1;
         }
         return costly;",
    );
    assert!((24..=26).contains(&costly.as_u64().unwrap()), "{costly} messages of 20 ms beside 500 of 1 ms");
}

#[test]
fn one_message_that_took_very_long_is_soon_forgiven() {
    let before = value(
        "for (const id of ['unlucky', 'other']) { connect(id, { account: id }); send(id, 1000); }
         deal(1, () => 60_000);
         return deal(1000, () => 1).indexOf('unlucky');",
    );
    assert!((99..=101).contains(&before.as_u64().unwrap()), "{before} ms of another one's");
}

#[test]
fn all_are_even_when_nobody_waits() {
    let order = value(
        "for (const id of ['busy', 'other']) connect(id, { account: id });
         send('busy', 50);
         deal(51, () => 10);
         send('busy', 2);
         send('other', 2);
         return deal(4, () => 1);",
    );
    assert_eq!(order, json!(["busy", "other", "busy", "other"]));
}

#[test]
fn ten_thousand_accounts_have_equal_shares() {
    let counts = value(
        "for (let n = 0; n < 10_000; n += 1) { connect(`${n}`, { account: `${n}` }); send(`${n}`, 3); }
         const counts = Object.values(countOf(deal(20_000, () => 0.5)));
         return [counts.length, Math.min(...counts), deal(20_000, () => 30).length];",
    );
    assert_eq!(counts, json!([10_000, 2, 10_000]), "two each, and nothing is lost of the rest");
}

#[test]
fn what_is_proved_what_is_named_and_relays_have_shares_of_their_own() {
    let counts = value(
        "connect('proved', { account: 'co_zOne', first: 'co_zOther' });
         connect('proved too', { account: 'co_zOne', isForMany: true });
         connect('named', { account: null, first: 'co_zOne' });
         connect('named too', { first: 'co_zOne' });
         connect('relay below', { first: 'co_zOne', isForMany: true });
         connect('another below', { first: 'co_zOne', isForMany: true });
         connect('silent', {});
         connect('relay above');
         for (const id of Object.keys(sync.peers)) send(id, 1000);
         return countOf(deal(600, () => 1));",
    );
    assert_eq!(
        counts,
        json!({
            "proved": 50, "proved too": 50, "named": 50, "named too": 50,
            "relay below": 100, "another below": 100, "silent": 100, "relay above": 100,
        })
    );
}

#[test]
fn who_asked_for_what_comes_in_pieces_pays_for_them() {
    let before = value(
        "for (const id of ['asking', 'other']) { connect(id, { account: id }); send(id, 100); }
         sync.messagesQueue.pull();
         for (let n = 0; n < 4; n += 1) node.storage.streamingQueue.push(() => (clock += 5), 3);
         turns.recordProcessingTime('load', 1);
         for (const piece of pieces) piece();
         return [clock, deal(100, () => 1).indexOf('asking')];",
    );
    assert_eq!(before, json!([20, 21]), "as many messages of 1 ms of the other one");
}

#[test]
fn a_client_is_read_on_when_what_it_brought_has_been_dealt_with() {
    let seen = value(
        "for (const id of ['first', 'second']) connect(id, { account: 'co_zOne' });
         send('first', 1);
         send('second', 2);
         const seen = [];
         const waits = ['first', 'second'].map((id) => turns.of(guests.get(id)).then(() => seen.push(id)));
         deal(2, () => 1);
         await waits[0];
         seen.push('not yet');
         deal(1, () => 1);
         await waits[1];
         return [seen, turns.of(guests.get('second')) === undefined];",
    );
    assert_eq!(seen, json!([["first", "not yet", "second"], true]));
}

#[test]
fn where_a_node_ends_what_waits_is_dropped_and_nobody_waits_for_it() {
    let left = value(
        "for (const id of ['first', 'second']) { connect(id, { account: id }); send(id, 10); }
         const waits = ['first', 'second'].map((id) => turns.of(guests.get(id)));
         deal(3, () => 1);
         turns.stop();
         await Promise.all(waits);
         send('second', 1);
         return deal(20, () => 1);",
    );
    assert_eq!(left, json!(["second"]), "only what came afterwards");
}
