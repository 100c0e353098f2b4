//! The same names over shuttle, whose scheduler decides at each of their operations which thread
//! goes next. They behave as parking_lot's locks do: a panic under one does not poison it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll};

pub(crate) use shuttle::sync::MutexGuard;
use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard};
use shuttle::thread::LocalKey;

#[derive(Default, Debug)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default, Debug)]
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A variable of a task. All tasks of the scheduler are on one thread of the system, so that
/// tokio's variables would be seen by all of them.
macro_rules! task_local {
    (static $name:ident: $type:ty;) => {
        shuttle::thread_local! {
            static SLOT: std::cell::RefCell<Option<$type>> = std::cell::RefCell::new(None);
        }
        static $name: $crate::sync::TaskLocal<$type> = $crate::sync::TaskLocal(&SLOT);
    };
}
pub(crate) use task_local;

pub(crate) struct TaskLocal<T: 'static>(pub(crate) &'static LocalKey<RefCell<Option<T>>>);

impl<T> TaskLocal<T> {
    pub(crate) fn scope<F: Future>(&self, value: T, work: F) -> Scope<T, F> {
        Scope {
            slot: self.0,
            value: Some(value),
            work: Box::pin(work),
        }
    }

    /// What is in scope, or an error where nothing is.
    pub(crate) fn try_with<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R, ()> {
        let looked = self.0.try_with(|slot| slot.borrow().as_ref().map(look));
        looked.ok().flatten().ok_or(())
    }
}

/// Work in whose polls the variable has its value.
pub(crate) struct Scope<T: 'static, F> {
    slot: &'static LocalKey<RefCell<Option<T>>>,
    value: Option<T>,
    work: Pin<Box<F>>,
}

impl<T: Unpin, F: Future> Future for Scope<T, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let outer = this.slot.with(|slot| slot.replace(this.value.take()));
        let polled = this.work.as_mut().poll(context);
        this.value = this.slot.with(|slot| slot.replace(outer));
        polled
    }
}
