//! The one task that looks at the time: heartbeats, silence, and dials that are due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::Mono;

use super::dial;
use crate::event::DownReason;
use crate::hub::{Hub, Link};

/// How often it looks: a small part of every interval that it keeps.
const TICK: Duration = Duration::from_millis(25);

/// A tick that is later than this was late because this process stood still.
const STOOD_STILL: Duration = Duration::from_millis(500);

/// Runs until this node leaves.
pub(crate) async fn run(hub: Arc<Hub>) {
    let mut last = hub.now();
    let mut beat = last;
    // It goes on while there is somebody to dial: dials must not keep heartbeats waiting.
    let mut tick = hub.runtime.sleep(TICK);
    loop {
        dial_due(&hub);
        tokio::select! {
            biased;
            () = &mut tick => tick = hub.runtime.sleep(TICK),
            () = hub.wake.notified() => continue,
        }
        let now = hub.now();
        let late = now.since(last);
        last = now;
        if late > STOOD_STILL {
            forgive(&hub, late, now);
        }
        if now >= beat {
            beat = now.after(hub.timing.heartbeat);
            let stamp = hub.runtime.precise().0;
            hub.links
                .read()
                .values()
                .for_each(|link| link.out.beat(stamp));
        }
        listen(&hub, now);
    }
}

fn dial_due(hub: &Arc<Hub>) {
    let now = hub.now();
    let due = {
        let mut core = hub.core.lock();
        let core = &mut *core;
        core.dials.due(now, |name| core.pairs.is_linked(name))
    };
    for address in due {
        hub.spawn(dial::run(Arc::clone(hub), address));
    }
}

/// The silence of others that was only this node's own.
fn forgive(hub: &Hub, stood_still: Duration, now: Mono) {
    hub.core.lock().members.forgive(stood_still, now);
    for link in hub.links.read().values() {
        link.heard.fetch_max(now.0, Ordering::Relaxed);
    }
}

fn listen(hub: &Hub, now: Mono) {
    let mut core = hub.core.lock();
    let mut changes = Vec::new();
    let links = hub.links.read();
    let is_open = |link: &&Arc<Link>| !link.is_closed.load(Ordering::Relaxed);
    for link in links.values().filter(is_open) {
        let silence = link.silence(now);
        let heard = Mono(now.0.saturating_sub(silence.as_nanos() as u64));
        changes.extend(core.members.heard(&link.name, heard, now));
        let stuck = link.out.stuck_since().map(|since| now.since(since));
        if silence >= hub.timing.cut_after {
            link.out.cut(DownReason::Silent);
        } else if stuck.is_some_and(|stuck| stuck >= hub.timing.cut_after) {
            link.out.cut(DownReason::NotReading);
        }
    }
    drop(links);
    let before = core.members.iter().count();
    changes.extend(core.members.tick(now));
    if core.members.iter().count() < before {
        let core = &mut *core;
        core.dials.keep(|name| core.members.get(name).is_some());
    }
    drop(core);
    hub.say(&changes);
}
