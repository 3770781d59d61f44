/* SPDX-License-Identifier: Apache-2.0 */
/* Two well-behaved ends: requests, replies, events, deadlines, closing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ipc/cleanup.h"
#include "tests/ipc/channel_pair.h"

#define QUIESCE	    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE
#define STATS	    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS
#define DIRTY_LOG   BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_DIRTY_LOG
#define NEEDS_RESET BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET

static void a_request_is_answered_once(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(pair->theirs.requests, 1);
	assert_int_equal(pair->ours.replies, 1);
	assert_int_equal(pair->ours.reply_errors, 0);
	assert_true(channel_next_deadline_ms(pair->ours.channel) == UINT64_MAX);
}

static void an_error_reply_reaches_the_callback_with_its_code_and_text(void **state)
{
	struct channel_pair *pair = *state;
	struct error failure = ERROR_INIT;

	pair->theirs.answer = false;
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	error_set(&failure, -ENOSPC, "the disk\n is full");
	assert_int_equal(
		channel_reply_error(pair->theirs.channel, STATS, pair->theirs.last_id, &failure),
		0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(pair->ours.reply_errors, 1);
	assert_int_equal(pair->ours.reply_error.code, -ENOSPC);
	assert_string_equal(pair->ours.reply_error.message, "blk \"root\": the disk? is full");
}

static void an_event_is_unpacked_for_its_handler(void **state)
{
	struct channel_pair *pair = *state;
	Bulkhead__Worker__NeedsReset event;
	char reason[] = "queue 0: descriptor 7 loops";
	struct error err = ERROR_INIT;

	bulkhead__worker__needs_reset__init(&event);
	event.reason = reason;
	assert_int_equal(
		channel_event(pair->theirs.channel, NEEDS_RESET, &event.base, NULL, 0, &err), 0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(pair->ours.events, 1);
	assert_string_equal(pair->ours.last_reason, reason);
}

static void a_handler_may_keep_a_descriptor_and_the_rest_are_closed(void **state)
{
	struct channel_pair *pair = *state;
	struct error err = ERROR_INIT;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned before = count_open_fds();

	for (int keep = 0; keep < 2; keep++) {
		pair->theirs.steal_fd = keep;
		assert_int_equal(channel_request(pair->ours.channel, DIRTY_LOG, NULL, &fd, 1, 1000,
						 channel_pair_on_reply, &pair->ours, &err),
				 0);
		assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
		assert_int_equal(count_open_fds(), before + (unsigned)keep);
	}
	assert_true(fcntl(pair->theirs.stolen_fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void a_request_without_an_answer_times_out(void **state)
{
	struct channel_pair *pair = *state;
	uint64_t deadline_ms;

	assert_int_equal(channel_pair_request(&pair->ours, QUIESCE, 50), 0);
	deadline_ms = channel_next_deadline_ms(pair->ours.channel);
	assert_true(deadline_ms <= channel_now_ms() + 50);
	channel_expire(pair->ours.channel, deadline_ms - 1);
	assert_int_equal(pair->ours.reply_errors, 0);
	channel_expire(pair->ours.channel, deadline_ms);
	assert_int_equal(pair->ours.reply_errors, 1);
	assert_int_equal(pair->ours.reply_error.code, -ETIMEDOUT);
	assert_string_equal(pair->ours.reply_error.message,
			    "blk \"root\": no answer to quiesce within 50 ms");
}

static void a_late_reply_is_dropped(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, QUIESCE, 0), 0);
	channel_expire(pair->ours.channel, UINT64_MAX);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(pair->ours.replies, 0);
	assert_int_equal(pair->ours.reply_errors, 1);
	assert_int_equal(pair->ours.closed, 0);
}

static void the_end_of_the_peer_fails_every_waiting_request_and_then_closes(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, QUIESCE, 1000), 0);
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	channel_destroy(pair->theirs.channel);
	pair->theirs.channel = NULL;
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), -ECONNRESET);
	assert_int_equal(pair->ours.reply_errors, 2);
	assert_int_equal(pair->ours.reply_error.code, -ECONNRESET);
	assert_int_equal(pair->ours.closed, 1);
	assert_string_equal(pair->ours.closed_error.message, "blk \"root\": closed the connection");
	assert_int_equal(channel_fd(pair->ours.channel), -1);
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), -ECONNRESET);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), -ECONNRESET);
	assert_int_equal(pair->ours.closed, 1);
}

static void what_the_peer_sent_before_it_died_is_still_handled(void **state)
{
	struct channel_pair *pair = *state;
	Bulkhead__Worker__NeedsReset event;
	struct error err = ERROR_INIT;

	bulkhead__worker__needs_reset__init(&event);
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0); /* never read */
	assert_int_equal(
		channel_event(pair->theirs.channel, NEEDS_RESET, &event.base, NULL, 0, &err), 0);
	channel_destroy(pair->theirs.channel);
	pair->theirs.channel = NULL;
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), -ECONNRESET);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), -ECONNRESET);
	assert_int_equal(pair->ours.events, 1);
	assert_int_equal(pair->ours.closed_error.code, -ECONNRESET);
}

static void destroying_a_channel_cancels_its_requests(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	channel_destroy(pair->ours.channel);
	pair->ours.channel = NULL;
	assert_int_equal(pair->ours.reply_errors, 1);
	assert_int_equal(pair->ours.reply_error.code, -ECANCELED);
	assert_int_equal(pair->ours.closed, 0);
}

static void a_handler_may_send(void **state)
{
	struct channel_pair *pair = *state;

	pair->theirs.send_from_handler = true;
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	assert_int_equal(pair->ours.replies, 1);
	assert_int_equal(pair->ours.requests, 1);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	assert_int_equal(pair->theirs.replies, 1);
}

static void one_dispatch_handles_no_more_packets_than_asked(void **state)
{
	struct channel_pair *pair = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 2), 0);
	assert_int_equal(pair->theirs.requests, 2);
}

static void packets_that_the_socket_does_not_take_are_sent_later_in_order(void **state)
{
	struct channel_pair *pair = *state;
	Bulkhead__Worker__NeedsReset event;
	char reason[1000];
	struct error err = ERROR_INIT;
	unsigned sent = 0;

	bulkhead__worker__needs_reset__init(&event);
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	event.reason = reason;
	while (!(channel_poll_events(pair->theirs.channel) & POLLOUT) || sent % 2) {
		(void)snprintf(reason, 8, "%7u", sent);
		reason[7] = 'x';
		assert_int_equal(channel_event(pair->theirs.channel, NEEDS_RESET, &event.base, NULL,
					       0, &err),
				 0);
		sent++;
		assert_true(sent < 1000);
	}
	assert_true(sent > 4);
	for (unsigned i = 0; i < 2 * sent && pair->ours.events < sent; i++) {
		assert_int_equal(channel_dispatch(pair->ours.channel, 1), 0);
		assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
	}
	assert_int_equal(pair->ours.events, sent);
	assert_int_equal(strtoul(pair->ours.last_reason, NULL, 10), sent - 1);
	assert_int_equal(channel_poll_events(pair->theirs.channel), POLLIN);
}

static void more_requests_than_the_table_holds_are_refused(void **state)
{
	struct channel_pair *pair = *state;

	for (int i = 0; i < CHANNEL_MAX_PENDING; i++)
		assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), -EBUSY);
}

static void a_message_longer_than_a_packet_is_refused(void **state)
{
	struct channel_pair *pair = *state;
	Bulkhead__Worker__NeedsReset event;
	struct error err = ERROR_INIT;
	cleanup_free char *reason = malloc(CHANNEL_MAX_PAYLOAD + 1);

	bulkhead__worker__needs_reset__init(&event);
	memset(reason, 'x', CHANNEL_MAX_PAYLOAD);
	reason[CHANNEL_MAX_PAYLOAD] = '\0';
	event.reason = reason;
	assert_int_equal(
		channel_event(pair->theirs.channel, NEEDS_RESET, &event.base, NULL, 0, &err),
		-EMSGSIZE);
	assert_int_equal(channel_dispatch(pair->theirs.channel, 0), 0);
}

static void a_request_whose_reply_has_no_row_is_refused(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, NEEDS_RESET, 1000), -EINVAL);
}

static void only_a_seqpacket_socket_makes_a_channel(void **state)
{
	struct error err = ERROR_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_null(channel_new(fds[0], "peer", NULL, 0, NULL, NULL, &err));
	assert_int_equal(err.code, -EPROTOTYPE);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
#define PAIR_TEST(name)                                                                            \
	cmocka_unit_test_setup_teardown(name, channel_pair_setup, channel_pair_teardown)
	const struct CMUnitTest tests[] = {
		PAIR_TEST(a_request_is_answered_once),
		PAIR_TEST(an_error_reply_reaches_the_callback_with_its_code_and_text),
		PAIR_TEST(an_event_is_unpacked_for_its_handler),
		PAIR_TEST(a_handler_may_keep_a_descriptor_and_the_rest_are_closed),
		PAIR_TEST(a_request_without_an_answer_times_out),
		PAIR_TEST(a_late_reply_is_dropped),
		PAIR_TEST(the_end_of_the_peer_fails_every_waiting_request_and_then_closes),
		PAIR_TEST(what_the_peer_sent_before_it_died_is_still_handled),
		PAIR_TEST(destroying_a_channel_cancels_its_requests),
		PAIR_TEST(a_handler_may_send),
		PAIR_TEST(one_dispatch_handles_no_more_packets_than_asked),
		PAIR_TEST(packets_that_the_socket_does_not_take_are_sent_later_in_order),
		PAIR_TEST(more_requests_than_the_table_holds_are_refused),
		PAIR_TEST(a_message_longer_than_a_packet_is_refused),
		PAIR_TEST(a_request_whose_reply_has_no_row_is_refused),
		cmocka_unit_test(only_a_seqpacket_socket_makes_a_channel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
