//! The list of all claims, and the macros that mount them.

use std::future::Future;
use std::pin::Pin;

use super::Subject;

type Held<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A claim about stores with versions, leases and a log.
pub struct Claim {
    /// Its group and its name.
    pub name: &'static str,
    held: for<'a> fn(&'a Subject) -> Held<'a>,
}

impl Claim {
    /// All of them.
    pub fn all() -> Vec<Claim> {
        let mut claims = crate::conformance_bare_claims!([collected], ());
        claims.extend(crate::conformance_record_claims!([collected], ()));
        claims.extend(crate::conformance_bus_claims!([collected], ()));
        claims.extend(crate::conformance_primitive_claims!([collected], ()));
        claims.extend(crate::conformance_server_claims!([collected], ()));
        claims
    }

    /// Holds the claim against a fresh, empty store.
    ///
    /// # Panics
    ///
    /// If it does not hold.
    pub async fn hold(&self, subject: &Subject) {
        (self.held)(subject).await;
    }
}

macro_rules! collected {
    ($make:expr; $($group:ident: $($claim:ident),+;)+) => {
        vec![$($(Claim {
            name: concat!(stringify!($group), "::", stringify!($claim)),
            held: |subject| Box::pin(super::$group::$claim(subject)),
        }),+),+]
    };
}
use collected;

/// Calls `$then` with every claim that holds for bare values too, by group.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_bare_claims {
    ([$($then:tt)+], $make:expr) => {
        $($then)+! { $make;
            values:
                what_was_never_put_is_absent,
                a_value_comes_back_byte_for_byte,
                an_empty_value_is_a_value,
                a_value_of_a_mebibyte_comes_back,
                keys_are_exact_bytes,
                keys_that_begin_with_a_zero_byte_are_kept,
                a_put_replaces,
                a_removed_value_is_absent_until_it_is_put_again,
                many_keys_are_answered_in_order,
                no_keys_give_no_answers,
                a_thousand_keys_are_written_and_read_at_once,
                a_store_has_a_name;
            lives:
                a_value_ends_with_its_life,
                a_value_ends_at_its_time,
                what_remains_is_never_more_than_was_given,
                a_life_without_end_has_none,
                a_life_that_is_over_leaves_nothing,
                a_very_long_life_does_not_overflow,
                keep_keeps_the_end,
                keep_without_a_record_never_ends,
                touch_gives_another_life,
                touch_can_end_a_life,
                touch_does_not_create,
                a_put_has_its_own_end;
            batches:
                an_empty_batch_is_done,
                a_batch_may_only_check,
                a_refused_batch_changes_nothing,
                checks_and_writes_are_of_any_keys,
                checks_do_not_see_the_writes,
                writes_take_place_in_order,
                many_writes_take_place_in_order,
                a_large_conditional_batch_is_all_or_nothing,
                a_version_holds_until_the_value_changes,
                a_put_says_its_version;
            concurrency:
                no_increment_is_lost,
                batches_do_not_interleave;
            keyspace:
                an_empty_space_lists_nothing,
                a_scan_gives_every_key,
                a_prefix_selects,
                only_what_is_live_is_listed,
                a_scan_misses_no_key_that_stays,
                databases_are_apart,
                keys_that_begin_with_a_zero_byte_are_listed,
                system_keys_are_never_listed;
            clearing:
                clearing_removes_everything,
                clearing_stays_within_its_space;
        }
    };
}

/// Calls `$then` with every claim that needs versions, stale values, leases or tags, by group.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_record_claims {
    ([$($then:tt)+], $make:expr) => {
        $($then)+! { $make;
            concurrency:
                one_of_many_gets_the_lease;
            keyspace:
                tombstones_and_leases_are_not_listed;
            clearing:
                clearing_refuses_loads_begun_before,
                clearing_leaves_loads_elsewhere,
                clearing_keeps_the_order;
            expectations:
                of_what_was_never_there,
                of_a_fresh_value,
                of_a_negative_entry,
                of_a_stale_value,
                of_a_value_marked_stale,
                of_a_removed_value,
                of_a_tombstone,
                of_a_lease,
                of_an_ended_value,
                of_an_ended_value_under_a_lease,
                of_a_stale_value_under_a_lease;
            records:
                every_field_comes_back,
                a_negative_entry_comes_back,
                versions_grow_with_every_change,
                versions_grow_within_a_batch_and_across_removals,
                versions_grow_with_fills,
                a_tombstone_keeps_only_the_version;
            stale:
                a_value_outlives_its_fresh_life,
                a_stale_value_ends_too,
                expire_marks_and_keeps,
                expire_does_not_create,
                touch_does_not_make_an_expired_value_fresh,
                touch_renews_a_value_that_is_stale_by_time,
                touch_gives_a_fresh_and_a_stale_life,
                a_put_is_fresh_again,
                keep_keeps_the_stale_life;
            leases:
                a_fresh_value_is_a_hit,
                a_negative_entry_is_a_hit,
                one_at_a_time_gets_the_lease,
                keys_are_leased_one_by_one,
                a_lease_is_no_record,
                a_stale_value_comes_along,
                a_value_marked_stale_comes_along,
                what_is_gone_does_not_come_along,
                a_lease_ends_by_itself,
                renewing_makes_a_lease_last,
                only_a_standing_lease_is_renewed,
                every_change_revokes_the_lease,
                touch_revokes_the_lease_of_a_value_only,
                a_released_lease_is_free,
                only_the_holder_releases;
            confirms:
                the_payload_stays_and_the_rest_is_new,
                a_confirmed_record_has_a_life_of_its_own,
                only_the_record_of_that_version_is_confirmed,
                a_confirmation_needs_its_lease,
                a_confirmation_is_held_to_its_tags;
            fills:
                a_fill_stores_and_ends_the_lease,
                a_negative_fill_is_stored,
                a_fill_replaces_a_stale_value,
                a_fill_replaces_a_tombstone,
                a_lease_outlives_the_value_that_it_replaces,
                a_fill_may_leave_nothing,
                a_second_fill_is_refused,
                a_fill_without_a_lease_is_lost,
                a_fill_under_anothers_lease_is_revoked,
                a_fill_after_the_end_of_its_lease_is_refused,
                a_fill_does_not_outlive_a_removal,
                a_fill_does_not_outlive_an_expiry,
                a_fill_does_not_replace_a_newer_value;
            tags:
                unknown_tags_have_the_number_of_the_clock,
                every_bump_exceeds_all_before,
                the_number_of_a_tag_is_that_of_its_last_bump,
                a_thousand_tags_are_bumped_and_read_at_once,
                tags_are_exact,
                tags_come_back,
                a_record_without_tags_depends_on_none,
                a_put_is_valid_until_a_bump,
                a_record_outlives_the_bumps_of_other_tags,
                a_put_behind_a_bump_is_valid_and_one_before_it_is_void,
                bumps_take_place_with_their_batch_or_not_at_all,
                tags_and_cut_outlive_a_change_of_life,
                tags_are_in_no_space;
            tag_fills:
                a_lease_says_where_the_clock_stands,
                a_fill_with_unknown_tags_is_stored_while_the_clock_stands,
                a_fill_with_an_unknown_tag_is_refused_once_the_clock_has_moved,
                a_fill_whose_tags_were_bumped_before_its_lease_is_stored,
                a_fill_whose_tag_was_bumped_after_its_lease_is_refused,
                a_fill_is_refused_for_one_of_its_tags,
                a_refused_fill_leaves_the_stale_value,
                a_fill_without_tags_is_not_refused_for_any,
                a_fill_with_tags_needs_its_lease;
            areas:
                an_area_voids_what_it_covers,
                all_of_a_cache_is_void_at_once,
                all_of_a_cache_expires_at_once,
                areas_are_told_with_their_numbers,
                areas_belong_to_one_cache,
                too_many_areas_are_one,
                a_fill_into_a_void_area_is_refused,
                a_fill_beside_void_areas_is_stored_when_it_was_checked,
                the_lease_of_a_void_record_is_to_be_had,
                only_void_records_are_reclaimed,
                areas_are_in_no_space;
            dependencies:
                a_value_made_from_another_is_stored,
                a_change_voids_what_was_made_from_the_key,
                clearing_voids_what_was_made_from_what_it_removes,
                what_it_was_not_made_from_does_not_void_it,
                a_value_whose_source_changed_during_the_load_is_refused,
                a_value_made_from_an_outdated_copy_is_refused,
                a_source_that_is_gone_is_no_change_if_the_key_is_watched,
                absence_can_be_depended_on,
                an_unknown_dependency_is_lost,
                it_is_held_to_the_tags_of_what_it_was_made_from;
        }
    };
}

/// Calls `$then` with every claim about the log of changes, by group.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_bus_claims {
    ([$($then:tt)+], $make:expr) => {
        $($then)+! { $make;
            bus:
                a_log_that_nothing_happens_to_stays,
                a_poll_mentions_what_was_acknowledged,
                each_kind_of_change_is_told,
                what_is_absent_is_removed_and_expired_all_the_same,
                touching_what_is_absent_does_no_harm,
                looking_is_not_logged,
                fills_are_not_logged,
                clearing_logs_what_it_removes,
                keys_are_exact,
                the_log_is_in_no_space;
            bus_batches:
                a_batch_is_one_record,
                a_key_that_changes_twice_is_named_twice,
                a_refused_batch_is_not_logged,
                checks_alone_are_not_logged,
                a_large_batch_is_logged_whole,
                many_writers_make_one_log;
            bus_replay:
                a_part_is_read_again,
                what_is_read_twice_is_the_same,
                a_long_part_is_read_bit_by_bit,
                what_is_not_there_yet_is_left_out;
            bus_feed:
                what_is_pushed_is_what_is_logged,
                every_subscriber_gets_every_record,
                a_subscription_begins_when_it_is_there,
                a_dropped_wait_loses_nothing,
                a_slow_reader_misses_nothing_unnoticed,
                subscribers_come_and_go;
            bus_tags:
                a_bump_is_told_with_its_number,
                a_bump_is_told_at_its_place_in_a_batch,
                only_bumps_of_tags_are_told;
            bus_positions:
                a_change_is_told_its_place,
                without_a_log_there_is_no_place,
                a_large_batch_is_told_its_last_place,
                checks_alone_are_given_no_place,
                records_say_who_wrote_them_and_when,
                a_probe_is_a_record_without_changes;
            bus_readers:
                nobody_reads_before_the_first_poll,
                who_polls_is_listed,
                the_last_poll_counts,
                silence_grows_on_the_clock_of_the_shard,
                who_leaves_is_not_waited_for,
                readers_are_told_apart_by_cache_and_name,
                too_many_readers_are_refused,
                a_nudge_reaches_every_subscriber,
                a_nudge_without_a_log_does_nothing,
                silent_readers_stay_on_the_list_for_longer_than_they_are_waited_for;
            bus_leases:
                a_fill_that_is_waited_for_is_told,
                a_lease_given_back_that_is_waited_for_is_told,
                nobody_is_told_where_nobody_waits,
                a_value_whose_lease_is_waited_for_reads_as_ever;
            bus_carried:
                what_travels_is_what_is_stored,
                nothing_travels_unasked,
                the_log_keeps_no_values,
                large_values_do_not_travel,
                only_what_is_put_travels,
                of_two_puts_of_a_key_none_poses_as_the_other;
        }
    };
}

/// Calls `$then` with every claim about locks, limits and counters, by group.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_primitive_claims {
    ([$($then:tt)+], $make:expr) => {
        $($then)+! { $make;
            locks:
                a_free_lock_is_given_and_a_held_one_is_not,
                its_owner_asking_again_has_it_with_the_same_token,
                a_lock_ends_with_its_ttl,
                only_its_owner_prolongs_it,
                a_lock_that_is_over_is_not_prolonged,
                a_lock_is_given_back,
                nobody_gives_back_the_lock_of_another,
                tokens_rise_from_lock_to_lock,
                a_token_exceeds_what_its_owner_has_seen,
                of_many_who_ask_at_once_one_has_it,
                locks_are_no_keys_of_users,
                who_waits_is_told_of_a_lock_given_back,
                lives_that_mean_nothing_are_refused;
            fences:
                a_token_that_was_given_writes,
                an_older_token_changes_nothing,
                tokens_are_held_against_each_key_by_itself,
                a_token_outlives_the_value,
                a_token_that_nobody_gave_is_refused,
                a_fenced_write_is_a_change_like_any_other,
                what_is_refused_is_not_told;
            rates:
                a_burst_is_allowed_and_no_more,
                a_refused_request_uses_nothing_up,
                what_has_leaked_is_allowed_again,
                a_cost_of_nothing_only_looks,
                a_cost_above_the_burst_is_an_error,
                names_and_periods_are_apart,
                of_many_at_once_no_more_are_allowed,
                odd_rates_are_kept_exactly,
                limits_are_no_keys_of_users;
            counters:
                a_counter_begins_at_nothing_and_goes_both_ways,
                no_addition_is_lost,
                numbers_are_exact_in_their_whole_range,
                beyond_their_range_nothing_is_added,
                its_life_is_that_of_the_first_addition,
                a_counter_is_taken_away_with_its_number,
                counters_are_no_keys_of_users;
        }
    };
}

/// Calls `$then` with every claim about stores over servers that are hurt, by group.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_server_claims {
    ([$($then:tt)+], $make:expr) => {
        $($then)+! { $make;
            server_ends:
                a_confirmed_record_ends_on_the_server_too;
            server_forgets:
                a_version_exceeds_that_of_its_key,
                a_version_exceeds_that_of_what_was_removed,
                a_lease_of_before_fills_nothing,
                a_lost_clock_goes_on_beyond_all_before,
                what_was_made_under_areas_that_are_forgotten_is_refused,
                what_was_made_from_a_copy_is_refused_when_changes_were_not_noted,
                a_dependency_that_was_forgotten_is_a_new_one;
            server_restarts:
                an_old_dump_begins_another_life_of_the_log,
                a_change_is_of_the_new_life_though_nobody_has_polled,
                what_an_old_dump_holds_is_void,
                a_lease_of_an_old_dump_fills_nothing,
                numbers_of_a_lost_process_are_not_repeated,
                an_empty_server_begins_another_life_of_the_log;
            server_refuses:
                what_takes_no_changes_answers_no_poll,
                a_full_server_does_not_refuse_to_invalidate,
                what_stands_in_the_way_of_the_log_is_removed;
            server_locks:
                tokens_rise_though_the_shard_has_forgotten,
                a_token_from_before_the_shard_forgot_is_refused,
                a_token_is_refused_when_what_was_seen_is_lost,
                tokens_rise_for_those_who_have_seen_them,
                a_token_from_the_time_ahead_is_refused,
                a_token_from_before_an_old_dump_is_refused,
                tokens_rise_though_the_server_comes_back_empty;
        }
    };
}

/// Makes a test of each claim.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr; $($group:ident: $($claim:ident),+;)+) => {
        $(mod $group {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let subject: Option<$crate::conformance::Subject> = ($make)().await;
                if let Some(subject) = subject {
                    $crate::conformance::$group::$claim(&subject).await;
                }
            })+
        })+
    };
}

/// Mounts every claim on the stores that `$make` makes, as module `$name`.
#[macro_export]
macro_rules! conformance_store {
    ($name:ident, $make:expr) => {
        mod $name {
            mod bare {
                use super::super::*;
                $crate::conformance_bare_claims!([$crate::conformance_tests], $make);
            }
            mod record {
                use super::super::*;
                $crate::conformance_record_claims!([$crate::conformance_tests], $make);
            }
        }
    };
}

/// Mounts the claims about the log of changes.
#[macro_export]
macro_rules! conformance_bus {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::conformance_bus_claims!([$crate::conformance_tests], $make);
        }
    };
}

/// Mounts the claims about locks, limits and counters.
#[macro_export]
macro_rules! conformance_primitives {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::conformance_primitive_claims!([$crate::conformance_tests], $make);
        }
    };
}

/// Mounts the claims about stores over servers that are hurt.
#[macro_export]
macro_rules! conformance_server {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::conformance_server_claims!([$crate::conformance_tests], $make);
        }
    };
}

/// Mounts the claims that hold for bare values.
#[macro_export]
macro_rules! conformance_plain_store {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::conformance_bare_claims!([$crate::conformance_tests], $make);
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    macro_rules! names {
        ($make:expr; $($group:ident: $($claim:ident),+;)+) => {
            [$($(concat!(stringify!($group), "::", stringify!($claim))),+),+]
        };
    }

    #[test]
    fn every_claim_is_mounted_once() {
        let bare = conformance_bare_claims!([names], ());
        let record = conformance_record_claims!([names], ());
        let bus = conformance_bus_claims!([names], ());
        let server = conformance_server_claims!([names], ());
        let primitive = conformance_primitive_claims!([names], ());
        let mounted = bare.into_iter().chain(record).chain(bus);
        let mounted = mounted.chain(primitive).chain(server);
        let mounted: Vec<&str> = mounted.collect();
        let mut written = BTreeSet::new();
        for (group, text) in [
            ("values", include_str!("values.rs")),
            ("lives", include_str!("lives.rs")),
            ("batches", include_str!("batches.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("keyspace", include_str!("keyspace.rs")),
            ("clearing", include_str!("clearing.rs")),
            ("expectations", include_str!("expectations.rs")),
            ("records", include_str!("records.rs")),
            ("stale", include_str!("stale.rs")),
            ("leases", include_str!("leases.rs")),
            ("confirms", include_str!("confirms.rs")),
            ("fills", include_str!("fills.rs")),
            ("tags", include_str!("tags.rs")),
            ("tag_fills", include_str!("tag_fills.rs")),
            ("areas", include_str!("areas.rs")),
            ("dependencies", include_str!("dependencies.rs")),
            ("bus", include_str!("bus.rs")),
            ("bus_batches", include_str!("bus_batches.rs")),
            ("bus_replay", include_str!("bus_replay.rs")),
            ("bus_feed", include_str!("bus_feed.rs")),
            ("bus_tags", include_str!("bus_tags.rs")),
            ("bus_positions", include_str!("bus_positions.rs")),
            ("bus_readers", include_str!("bus_readers.rs")),
            ("bus_leases", include_str!("bus_leases.rs")),
            ("bus_carried", include_str!("bus_carried.rs")),
            ("locks", include_str!("locks.rs")),
            ("fences", include_str!("fences.rs")),
            ("rates", include_str!("rates.rs")),
            ("counters", include_str!("counters.rs")),
            ("server_locks", include_str!("server_locks.rs")),
            ("server_ends", include_str!("server_ends.rs")),
            ("server_forgets", include_str!("server_forgets.rs")),
            ("server_restarts", include_str!("server_restarts.rs")),
            ("server_refuses", include_str!("server_refuses.rs")),
        ] {
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    let name = rest.split('(').next().unwrap();
                    written.insert(format!("{group}::{name}"));
                }
            }
        }
        let listed: BTreeSet<String> = mounted.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(listed, written);
        assert_eq!(listed.len(), mounted.len());
    }
}
