//! The tasks of a run, and which of them are ready.
//!
//! A task keeps its place until it ends, and its number tells it apart from those that had the place
//! before: who wakes a task that has ended wakes nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Wake, Waker};

use larder_core::runtime::BoxFuture;

use super::SimRuntime;
use crate::sim::Random;

/// Numbers grow with time; below them is the place.
const PLACE_BITS: u32 = 24;

#[derive(Default)]
pub(super) struct Tasks {
    places: Vec<Place>,
    free: Vec<usize>,
    started: u64,
    /// In the order of their numbers, not of their waking: what wakes several tasks at once may
    /// wake them in any order.
    ready: Vec<u64>,
    frozen: BTreeSet<usize>,
    /// Ready tasks of frozen nodes.
    held: Vec<u64>,
    killed: BTreeSet<usize>,
}

/// Where a task is kept while it waits.
struct Place {
    id: u64,
    is_queued: bool,
    task: Option<Task>,
}

/// A task that may be under way.
pub(super) struct Task {
    pub(super) id: u64,
    node: Option<usize>,
    pub(super) work: BoxFuture<'static, ()>,
    pub(super) waker: Waker,
}

struct TaskWaker {
    id: u64,
    runtime: SimRuntime,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.runtime.state().tasks.wake(self.id);
    }
}

fn place_of(id: u64) -> usize {
    (id & ((1 << PLACE_BITS) - 1)) as usize
}

impl Tasks {
    /// Takes a new task in that waits to be woken; gives who is to be told. A killed node's task comes
    /// back, to be dropped.
    pub(super) fn add(
        &mut self,
        runtime: &SimRuntime,
        node: Option<usize>,
        work: BoxFuture<'static, ()>,
    ) -> Result<Waker, BoxFuture<'static, ()>> {
        if node.is_some_and(|node| self.killed.contains(&node)) {
            return Err(work);
        }
        let at = self.free.pop().unwrap_or(self.places.len());
        assert!(at >> PLACE_BITS == 0, "too many tasks at the same time");
        self.started += 1;
        let id = self.started << PLACE_BITS | at as u64;
        let runtime = runtime.clone();
        let waker = Waker::from(Arc::new(TaskWaker { id, runtime }));
        let place = Place {
            id,
            is_queued: false,
            task: Some(Task {
                id,
                node,
                work,
                waker: waker.clone(),
            }),
        };
        match self.places.get_mut(at) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        Ok(waker)
    }

    fn wake(&mut self, id: u64) {
        let place = self.places.get_mut(place_of(id));
        let Some(place) = place.filter(|place| place.id == id && !place.is_queued) else {
            return;
        };
        place.is_queued = true;
        self.enqueue(id);
    }

    fn enqueue(&mut self, id: u64) {
        let at = self.ready.partition_point(|other| *other < id);
        self.ready.insert(at, id);
    }

    /// Takes out one ready task, chosen at random.
    pub(super) fn choose(&mut self, choices: &mut Random) -> Option<Task> {
        while !self.ready.is_empty() {
            let among = self.ready.len() as u64;
            let at = choices.below(among) as usize;
            let id = self.ready.remove(at);
            let place = self.places.get_mut(place_of(id));
            let place = place.expect("a task that is ready has a place");
            let node = place.task.as_ref().and_then(|task| task.node);
            if node.is_some_and(|node| self.frozen.contains(&node)) {
                self.held.push(id);
                continue;
            }
            place.is_queued = false;
            return place.task.take();
        }
        None
    }

    /// Puts a task back that waits for something, or is ready again already.
    pub(super) fn put_back(&mut self, task: Task) {
        let place = self.places.get_mut(place_of(task.id));
        let place = place.expect("a task keeps its place until it ends");
        place.task = Some(task);
    }

    /// A task has ended.
    pub(super) fn ended(&mut self, id: u64) {
        let at = place_of(id);
        if let Some(place) = self.places.get_mut(at) {
            if place.is_queued {
                self.ready.retain(|ready| *ready != id);
            }
            place.id = 0;
            self.free.push(at);
        }
    }

    /// Whether there has never been one.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes all tasks of a node out, for ever.
    pub(super) fn kill(&mut self, node: usize) -> Vec<Task> {
        self.killed.insert(node);
        let mut ended = Vec::new();
        for (at, place) in self.places.iter_mut().enumerate() {
            let is_of_node = |task: &mut Task| task.node == Some(node);
            if let Some(task) = place.task.take_if(is_of_node) {
                place.id = 0;
                place.is_queued = false;
                self.free.push(at);
                ended.push(task);
            }
        }
        let is_left = |id: &u64| ended.iter().all(|task| task.id != *id);
        self.ready.retain(is_left);
        self.held.retain(is_left);
        ended
    }

    pub(super) fn freeze(&mut self, node: usize) {
        self.frozen.insert(node);
    }

    pub(super) fn thaw(&mut self, node: usize) {
        self.frozen.remove(&node);
        for id in std::mem::take(&mut self.held) {
            self.enqueue(id);
        }
    }
}
