//! Switches that each take out one rule of the protocol, so that tests can show that the rule is
//! needed: with it gone, the checkers must find stale reads.
//!
//! Without the feature `mutants` there is nothing here but a constant `false`. With it, a switch
//! belongs to the thread that sets it, or to the whole process; nothing outside of tests sets one.

/// A rule that can be taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// The near cache stores values although their stripe has changed since they were read.
    StripeCount,
    /// The near cache stores values although a newer version of their key was superseded.
    VersionFloor,
    /// Callers may join a load that began before the last change of their key.
    DetachFlight,
    /// Callers may join a load of any age, although nobody vouches for it.
    OldFlight,
    /// A change does not revoke the lease of its key.
    Revoke,
    /// A fill whose lease is gone is stored all the same.
    AbsenceRefuses,
    /// A concluded change leaves the near copy where it is.
    Conclude,
    /// Changes that others made are not applied.
    IgnoreBus,
    /// That others cleared the cache is not applied, beyond the keys that they found.
    IgnoreClear,
    /// A gap in a lane's numbers is taken for none.
    IgnoreGaps,
    /// A lane's lease is granted before what its poll mentions is applied.
    LeaseBeforeReplay,
    /// A near hit does not look at its tags.
    TagCheck,
    /// The epoch of the near cache does not rise with a tag.
    TagEpoch,
    /// Callers may join a load that has looked at what was changed since.
    VoidFlight,
    /// Near copies are used although the lease of the bus has run out.
    IgnoreLease,
    /// Another life of the log is taken for the same.
    IgnoreIncarnation,
    /// A part of the log that is gone is taken for applied, and copies are kept.
    IgnoreTrim,
    /// A fill does not look at its tags.
    TagFill,
    /// A fill does not look at the areas of its cache.
    AreaFill,
    /// Records of the remote tier are not held against areas.
    AreaCheck,
    /// Near copies are not held against areas, nor against anything else that voids all.
    AreaEpoch,
    /// What a loader reads from caches is not written down.
    Capture,
    /// A fill does not look at what its loader has read.
    BondFill,
    /// A change of a key is not noted for what depends on it.
    NoteChange,
    /// A change of a key does not reach near copies that depend on it.
    NearDependents,
    /// Every near copy will do for a ticket.
    TicketCheck,
    /// Waiting for all nodes counts those that have said nothing as done.
    WaitForAll,
    /// A value that a refresh offers is taken although it was made void since.
    OldOffer,
    /// A change whose outcome is unknown leaves the near copy where it is.
    Forget,
    /// A computed value takes the place of whatever its key has by then.
    Exchange,
    /// Keys that are loaded together wait for one that another process loads.
    WaitForTaken,
    /// What a loader of many keys reads from caches is written down for none of them.
    ReadApart,
    /// The leases and fills of all keys that are loaded together are asked for at once.
    AllAtOnce,
    /// A load counts as young as it began, however old what it has read may be.
    OldRead,
    /// A record that comes with the answer to a lease is held against the areas that are known, though
    /// they may have been forgotten a moment ago.
    LeasedArea,
    /// What depends on a key is invalidated, and loads that have read the key are not told.
    UntoldReaders,
    /// A lease of the bus lasts longer than Δ from when its poll was sent.
    LateGrant,
    /// A log of the same life that has become shorter is taken for the same.
    IgnoreRewind,
    /// A copy is used for Δ after it was asked for, though what it depends on was known as of an
    /// earlier poll.
    ProvenAlone,
    /// A value that could not be proven is used for Δ from the end of its load.
    BriefFromEnd,
    /// A value is stored although it was made from one that is stale, or that nobody has proven.
    UnprovenInner,
    /// A value that travels with a record is taken although something is missing before the record.
    LateUpdate,
    /// What is known of a tag is what was told last, not the greatest number that was told.
    CellForgets,
    /// An invalidation leaves the value for when a load fails.
    StaleRemoved,
    /// A change ends with the caller who asked for it.
    ChangeDropped,
    /// A connection does not look whether its server is another one.
    JoinLate,
    /// A notice of the outbox counts as carried out although it was refused.
    DoneAnyway,
    /// The near cache lets go of a stripe between the decision about a value and its storing.
    AdmitUnlocked,
    /// An entry is taken for held against what was made void up to now, not up to before the look.
    LateEpoch,
    /// The epoch of the near cache rises before it can be looked up why.
    EpochFirst,
    /// The number of a tag that the remote tier told is taken without the lock under which tags rise.
    LearnUnlocked,
    /// A flight that lands takes whatever flight of its key is on the board off it.
    RemoveAny,
    /// Whether anybody waits for a flight is asked before the board is locked.
    AbandonUnlocked,
    /// Others may see the lane between its counting a record as applied and the applying.
    ApplyUnlocked,
    /// A lease is passed on before what it does not cover is void.
    LeaseFirst,
    /// A near hit looks at the lease once it has found its entry, and not before.
    LeaseLate,
    /// A change reaches loads under way before the near cache, and not after it.
    DetachEarly,
    /// A value that was made from others is used without a lease for Δ from the beginning of its load,
    /// however old they are.
    MadeAnew,
    /// What a store tells that is a copy itself counts as known when it was asked for.
    AsOfAsked,
    /// Who has joined a load takes what it found, however old that was by then.
    LandedOld,
    /// A change of a node of a mesh that has no place in the log there counts as heard of by all.
    UnplacedHeard,
    /// A member counts as asked who reads there, that was not connected then and is now.
    LinkedLate,
    /// A mesh acknowledges changes that only their origin has logged.
    AcknowledgeEarly,
    /// A poll of a mesh vouches for copies from its answer on, not from its question.
    LeaseFromReceipt,
    /// What the answers to a poll of a mesh name is not waited for.
    IgnoreVector,
    /// A life of a member that may have forgotten is counted, and copies are kept.
    CountNewLife,
    /// A member that was restarted asks one other, however many there are.
    SyncFromTooFew,
    /// A record beyond a gap of a lane counts as if nothing were missing.
    CountEarly,
    /// Gaps of lanes are not filled.
    IgnoreLaneGaps,
    /// Records of a lane that nobody has are taken for applied, and copies are kept.
    IgnoreLaneTrim,
    /// An answer to one poll of a mesh is taken for one to another.
    IgnoreNonce,
    /// Votes count although their giver may have been restarted since.
    IgnoreRounds,
    /// Lanes are named no more although some members have not heard all of them.
    RetireEarly,
    /// One member answers polls of a mesh by itself.
    PollMinority,
    /// The store of a node of a mesh answers although nobody vouches for it.
    StoreUnleased,
    /// The store of a node of a mesh keeps what it has when all is to be dropped.
    KeepStore,
    /// With learned members: one that comes up with another boot costs no copies.
    IgnoreReturn,
    /// A new life is not told of to others.
    MetUntold,
    /// A change of a mesh that was not acknowledged in time counts as acknowledged.
    LateIsDone,
    /// Who asks for a poll of a mesh shares one that is under way.
    SharedPoll,
    /// A member that was restarted claims to know what it was told of, and has not logged.
    ClaimUnlogged,
    /// What a restarted member was told by members that are not counted here is trusted.
    TrustAnyClaim,
    /// A member that was lost before it said who reads there counts as one where nobody does.
    LostReaders,
    /// A value that its load has confirmed gets another life, whatever became of its key meanwhile.
    ConfirmUnfenced,
}

impl Mutant {
    /// Every mutant that the simulation hunts.
    pub const ALL: [Mutant; 33] = [
        Mutant::StripeCount,
        Mutant::DetachFlight,
        Mutant::OldFlight,
        Mutant::Revoke,
        Mutant::AbsenceRefuses,
        Mutant::Conclude,
        Mutant::IgnoreBus,
        Mutant::IgnoreClear,
        Mutant::IgnoreGaps,
        Mutant::LeaseBeforeReplay,
        Mutant::TagCheck,
        Mutant::TagEpoch,
        Mutant::VoidFlight,
        Mutant::IgnoreLease,
        Mutant::IgnoreIncarnation,
        Mutant::IgnoreTrim,
        Mutant::TagFill,
        Mutant::AreaFill,
        Mutant::AreaCheck,
        Mutant::AreaEpoch,
        Mutant::Capture,
        Mutant::BondFill,
        Mutant::NoteChange,
        Mutant::NearDependents,
        Mutant::TicketCheck,
        Mutant::WaitForAll,
        Mutant::OldOffer,
        Mutant::LateGrant,
        Mutant::CellForgets,
        Mutant::StaleRemoved,
        Mutant::DoneAnyway,
        Mutant::ReadApart,
        Mutant::ConfirmUnfenced,
    ];

    /// Every mutant that an order of events of its own shows: no promise of the simulation tells of it,
    /// or chance brings about what it takes once in a hundred thousand runs. The tests say `needs`.
    pub const SCENARIOS: [Mutant; 20] = [
        Mutant::WaitForTaken,
        Mutant::AllAtOnce,
        Mutant::Forget,
        Mutant::Exchange,
        Mutant::VersionFloor,
        Mutant::OldRead,
        Mutant::LeasedArea,
        Mutant::UntoldReaders,
        Mutant::IgnoreRewind,
        Mutant::ProvenAlone,
        Mutant::BriefFromEnd,
        Mutant::UnprovenInner,
        Mutant::LateUpdate,
        Mutant::ChangeDropped,
        Mutant::JoinLate,
        Mutant::AsOfAsked,
        Mutant::LandedOld,
        Mutant::UnplacedHeard,
        Mutant::LinkedLate,
        Mutant::LostReaders,
    ];

    /// Every mutant that is hunted by trying orders of threads. Tasks of the simulation are never
    /// interrupted between two of their waits, so that these change nothing there.
    pub const THREADS: [Mutant; 10] = [
        Mutant::AdmitUnlocked,
        Mutant::LateEpoch,
        Mutant::EpochFirst,
        Mutant::LearnUnlocked,
        Mutant::RemoveAny,
        Mutant::AbandonUnlocked,
        Mutant::ApplyUnlocked,
        Mutant::LeaseFirst,
        Mutant::LeaseLate,
        Mutant::DetachEarly,
    ];

    /// Whether the rule is taken out on this thread.
    #[cfg(not(any(test, feature = "mutants")))]
    #[inline(always)]
    pub const fn is_active(self) -> bool {
        false
    }

    /// Whether the rule is taken out on this thread.
    #[cfg(any(test, feature = "mutants"))]
    pub fn is_active(self) -> bool {
        (switch::ACTIVE.get() | switch::everywhere()) & switch::bits([self]) != 0
    }
}

impl Mutant {
    /// The rules of a mesh, which its own tests hunt.
    pub const MESH: [Mutant; 13] = [
        Mutant::AcknowledgeEarly,
        Mutant::LeaseFromReceipt,
        Mutant::IgnoreVector,
        Mutant::CountNewLife,
        Mutant::SyncFromTooFew,
        Mutant::CountEarly,
        Mutant::IgnoreLaneGaps,
        Mutant::IgnoreLaneTrim,
        Mutant::IgnoreNonce,
        Mutant::IgnoreRounds,
        Mutant::RetireEarly,
        Mutant::PollMinority,
        Mutant::MetUntold,
    ];

    /// The rules of a mesh that the simulation hunts: those of the nodes around it, too.
    pub const MESH_NODES: [Mutant; 8] = [
        Mutant::MadeAnew,
        Mutant::StoreUnleased,
        Mutant::KeepStore,
        Mutant::IgnoreReturn,
        Mutant::LateIsDone,
        Mutant::SharedPoll,
        Mutant::ClaimUnlogged,
        Mutant::TrustAnyClaim,
    ];

    /// The rules that hide the loss of this one: in most orders of events any of them is enough. They
    /// are taken out with it, and what is noticed counts only if it is not noticed of them alone.
    pub fn masks(self) -> &'static [Mutant] {
        match self {
            Mutant::StripeCount => &[Mutant::VersionFloor],
            _ => &[],
        }
    }
}

#[cfg(any(test, feature = "mutants"))]
mod switch {
    use super::Mutant;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// What is taken out on all threads: the lower half of the bits, and the upper one.
    static EVERYWHERE: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

    thread_local! {
        pub(super) static ACTIVE: Cell<u128> = const { Cell::new(0) };
    }

    /// The bits of these rules.
    pub(super) fn bits(mutants: impl IntoIterator<Item = Mutant>) -> u128 {
        let bit = |mutant: Mutant| 1 << mutant as u32;
        mutants.into_iter().map(bit).fold(0, |bits, bit| bits | bit)
    }

    pub(super) fn everywhere() -> u128 {
        let [low, high] = EVERYWHERE.each_ref();
        let half = |bits: &AtomicU64| u128::from(bits.load(Ordering::Relaxed));
        half(low) | half(high) << 64
    }

    #[cfg(feature = "mutants")]
    pub(super) fn set_everywhere(bits: u128) {
        let [low, high] = EVERYWHERE.each_ref();
        low.store(bits as u64, Ordering::Relaxed);
        high.store((bits >> 64) as u64, Ordering::Relaxed);
    }
}

/// Takes out `mutant`, with what hides it, on every thread of the process, for good.
#[cfg(feature = "mutants")]
pub fn activate_everywhere(mutant: Mutant) {
    let masks = mutant.masks().iter().copied();
    switch::set_everywhere(switch::bits(masks.chain([mutant])));
}

/// Takes out `mutant`, with what hides it, or nothing, on this thread until the guard is dropped.
#[cfg(any(test, feature = "mutants"))]
#[must_use]
pub fn activate(mutant: Option<Mutant>) -> Active {
    let masks = mutant.map_or(&[][..], Mutant::masks);
    switch::ACTIVE.set(switch::bits(
        mutant.into_iter().chain(masks.iter().copied()),
    ));
    Active(())
}

/// Takes out only what hides `mutant`.
#[cfg(any(test, feature = "mutants"))]
#[must_use]
pub fn activate_masks(mutant: Mutant) -> Active {
    switch::ACTIVE.set(switch::bits(mutant.masks().iter().copied()));
    Active(())
}

/// Takes out all of these, and nothing with them.
#[cfg(feature = "mutants")]
#[must_use]
pub fn activate_all<'a>(mutants: impl IntoIterator<Item = &'a Mutant>) -> Active {
    switch::ACTIVE.set(switch::bits(mutants.into_iter().copied()));
    Active(())
}

/// Puts the rules back when dropped.
#[cfg(any(test, feature = "mutants"))]
pub struct Active(());

#[cfg(any(test, feature = "mutants"))]
impl Drop for Active {
    fn drop(&mut self) {
        switch::ACTIVE.set(0);
    }
}
