//! The contract of millpond, sentence by sentence, as tests whose names are its claims.
//!
//! | the contract says | the tests that hold it |
//! | --- | --- |
//! | **Accepted means kept**, until the process ends, within the memory bound | `accepted::what_was_accepted_is_kept_while_the_sink_refuses_it_for_now`, `accepted::what_the_last_handle_leaves_unsettled_is_in_the_dead_letters` |
//! | what is not accepted comes back | `accepted::a_refused_operation_comes_back_and_leaves_nothing_behind`, `accepted::a_batch_leaves_out_what_is_bad_and_takes_the_rest` |
//! | **Reads see every accepted write** of their key, in order, at once | `reads::a_read_sees_every_accepted_write_at_once_and_in_order`, `reads::a_read_sees_the_entry_over_the_flight_over_the_base`, `reads::a_read_does_not_apply_twice_what_the_base_holds_already`, `reads::what_was_put_back_stays_in_sight`, `unnumbered::a_read_over_a_base_without_numbers_sees_each_operation_once_whatever_settles_under_it`, `reads::a_scan_flushes_what_it_covers_first` |
//! | **One key, one order**, through retries and splits | `order::operations_keep_their_order_through_retries_of_every_class`, `order::a_batch_that_is_split_keeps_the_order_of_each_key`, `order::an_operation_with_another_routing_waits_for_the_flight_before_it`, `order::a_second_operation_on_a_key_is_not_sent_while_the_first_is_out` |
//! | and through restarts | `watermark::a_restart_begins_above_every_number_in_use_whatever_the_clock_says` |
//! | after an unknown outcome newer operations on that key wait `late_request_bound` | `order::after_an_unknown_outcome_newer_operations_wait_for_the_late_request_bound` |
//! | **Each flight reaches the sink at least once** | `repeats::a_flight_with_an_unknown_outcome_goes_out_again_exactly_as_it_was`, `repeats::a_batch_dropped_unanswered_counts_as_unknown`, `repeats::an_answer_of_another_length_says_nothing_about_any_item` |
//! | **and repeating it changes nothing** | `repeats::repeating_a_flight_of_any_kind_changes_nothing` |
//! | what is not repeatable by itself carries a fence | `repeats::what_would_change_a_document_twice_carries_a_fence` |
//! | only what is known not to have been applied is put back | `repeats::only_what_is_known_not_to_have_been_applied_goes_on_coalescing` |
//! | a first send answered "stale" is reported | `repeats::a_first_send_that_is_stale_is_reported_and_never_taken_for_done` |
//! | **Freshness is bounded**, however hot the key | `freshness::no_operation_waits_longer_than_max_delay_however_hot_its_key`, `freshness::whoever_looks_when_told_to_is_in_time`, `freshness::what_is_put_back_keeps_its_age_and_goes_before_what_came_later` |
//! | a clock that jumps neither stalls nor floods the drain | `freshness::a_wall_clock_that_jumps_neither_stalls_nor_floods_the_drain` |
//! | **Memory is bounded, in bytes,** over entries, flights, clean documents and encode buffers | `memory::used_bytes_never_pass_the_bound_whatever_is_folded_or_thrown_back`, `memory::documents_that_wait_for_an_unknown_outcome_are_within_the_bound`, `memory::clean_documents_make_room_for_submits`, `memory::a_document_beyond_its_share_is_refused_with_both_numbers` |
//! | at the bound a submit hands the operation back | `memory::at_the_bound_an_operation_is_handed_back_with_the_numbers_and_nothing_is_dropped`, `memory::a_key_that_can_neither_fold_nor_drain_hands_back_and_goes_on_once_it_drains` |
//! | or waits | `threads::a_submit_that_waits_at_the_bound_is_let_in_by_the_drain`, `threads::a_submit_that_waits_at_the_bound_is_handed_back_when_its_wait_is_over`, `threads::a_closing_engine_hands_back_what_waits_at_the_bound` |
//! | nothing is dropped silently: an operation ends settled or in a dead letter | `accepted::every_operation_ends_settled_or_in_a_dead_letter`, `dead_letters::a_flight_does_not_settle_before_its_letter_is_written`, `dead_letters::letters_that_cannot_be_written_lose_nothing` |
//! | **Nothing is accepted that is known to be bad** | all of `bad_input` |
//! | statuses survive folding | `statuses::statuses_are_those_of_one_operation_after_another` |
//! | noop is told of the flight as a whole | `statuses::a_flight_that_changed_nothing_is_a_noop_as_a_whole` |
//! | a noop is not sent, an `index` always is | `statuses::a_noop_is_not_sent_where_the_base_is_known_and_an_index_always_is` |
//! | a rejection is of the flight as a whole; reads leave it out from then on | `statuses::a_rejection_is_of_the_flight_as_a_whole`, `reads::a_rejected_flight_is_left_out_of_reads` |
//! | after an unknown outcome a status that the repeat cannot tell is `applied` | `statuses::after_an_unknown_outcome_what_the_repeat_cannot_tell_is_applied` |
//! | every net operation can be written as text and read back | `dead_letters::letters_of_every_shape_can_be_replayed`, `ndjson::what_is_written_reads_back_to_the_same_documents` |
//! | `seq` strictly rises and stays below what was made durable | `watermark::sequence_numbers_rise_and_the_watermark_does_not_fall_however_the_wall_clock_jumps`, `watermark::numbers_stay_below_what_the_sink_has_made_durable` |
//! | the watermark is the least unsettled seq, minus one; with nothing pending it is now | `watermark::the_watermark_never_passes_what_has_not_settled`, `watermark::with_nothing_pending_the_watermark_is_now` |
//! | flush: everything accepted before it is settled when it returns | `flush_close::a_flush_has_settled_everything_accepted_before_it`, `flush_close::a_flush_that_does_not_come_to_its_end_says_what_is_left_and_why` |
//! | close is idempotent, drains or reports what it could not | `flush_close::a_closed_engine_takes_nothing_and_hands_it_back`, `flush_close::submits_that_race_a_close_are_settled_or_handed_back` |
//! | a panicking worker latches the engine with its reason; nothing hangs | `latch::a_panic_in_the_drain_latches_with_its_reason_and_everybody_who_waits_is_told`, `flush_close::a_sink_that_does_not_answer_holds_nobody_past_the_deadline` |
//! | handles are cheap clones, `Send + Sync` | `threads::handles_are_send_and_sync_and_clone`, `threads::many_writers_on_shared_keys_end_with_the_sequential_result` |
//!
//! Time is simulated and the drain run by hand ([`rig`]) wherever a test is about either. Tests with real threads
//! measure nothing, and have a bound of a minute against hanging.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

mod rig;

mod accepted;
mod bad_input;
mod dead_letters;
mod flush_close;
mod freshness;
mod latch;
mod memory;
mod ndjson;
mod order;
mod reads;
mod repeats;
mod statuses;
mod threads;
mod unnumbered;
mod watermark;
