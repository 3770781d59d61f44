/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that misbehaves: each kind is cut off, and its owner hears who did what. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ipc/channel_pair.h"

#define QUIESCE	    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE
#define STATS	    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS
#define DIRTY_LOG   BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_DIRTY_LOG
#define NEEDS_RESET BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET
#define UNKNOWN	    999

static struct raw_frame frame; /* too large for a stack; each test fills it anew */

/* What was sent closes ours with -EPROTO and this text; no descriptor is left over. */
static void assert_cut_off(struct channel_pair *pair, const char *text)
{
	char expected[ERROR_MESSAGE_SIZE];

	(void)snprintf(expected, sizeof(expected), "blk \"root\": %s", text);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), -ECONNRESET);
	assert_int_equal(pair->ours.closed, 1);
	assert_int_equal(pair->ours.closed_error.code, -EPROTO);
	assert_string_equal(pair->ours.closed_error.message, expected);
	assert_int_equal(channel_fd(pair->ours.channel), -1);
}

static void assert_peer_sees_the_end(const struct channel_pair *pair)
{
	struct pollfd poll_fd = {.fd = pair->raw_fd, .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, 0), 1);
	assert_true(poll_fd.revents & POLLHUP);
}

static void garbage_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	memset(&frame, 0x5a, sizeof(frame));
	frame.bytes = 100;
	frame.fd_count = 0;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a packet with a wrong magic (0x5a5a5a5a)");
	assert_peer_sees_the_end(pair);
}

static void a_packet_shorter_than_a_header_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_REQUEST, QUIESCE, 1);
	frame.bytes = 3;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a packet of 3 bytes, shorter than a header");
}

static void an_empty_packet_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(send(pair->raw_fd, "", 0, 0), 0);
	assert_cut_off(pair, "sent an empty packet");
}

static void a_packet_longer_than_the_limit_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_EVENT, NEEDS_RESET, 0);
	frame.header.payload_bytes = FRAME_MAX_PAYLOAD + 1;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a packet longer than 61464 bytes");
}

static void a_payload_longer_than_its_message_may_be_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_EVENT, NEEDS_RESET, 0);
	frame.header.payload_bytes = 1025;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent needs-reset with 1025 bytes, more than 1024");
}

static void a_payload_where_none_belongs_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_REQUEST, QUIESCE, 1);
	frame.header.payload_bytes = 1;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent quiesce with 1 bytes, more than 0");
}

static void a_message_that_does_not_unpack_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_EVENT, NEEDS_RESET, 0);
	frame.header.payload_bytes = 2;
	frame.payload[0] = 0x0a; /* field 1, length-delimited … */
	frame.payload[1] = 0x7f; /* … of 127 bytes that are not there */
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent needs-reset: which is not a valid bulkhead.worker.NeedsReset");
}

static void an_unknown_type_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_REQUEST, UNKNOWN, 1);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent an unknown request (type 999)");
}

static void a_known_type_of_the_wrong_kind_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_EVENT, QUIESCE, 0);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent an unknown event (type 4)");
}

static void a_message_in_the_wrong_state_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	pair->ours.state = STATE_BUSY;
	raw_frame_init(&frame, FRAME_REQUEST, QUIESCE, 1);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent quiesce, which is not legal in state 1");
	assert_int_equal(pair->ours.requests, 0);
}

static void more_descriptors_than_a_packet_may_carry_are_cut_off_and_closed(void **state)
{
	struct channel_pair *pair = *state;
	unsigned before = count_open_fds();

	raw_frame_init(&frame, FRAME_REQUEST, DIRTY_LOG, 1);
	frame.fd_count = FRAME_MAX_FDS + 1;
	frame.header.fd_count = FRAME_MAX_FDS + 1;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent more file descriptors than can be received (at most 64)");
	assert_int_equal(count_open_fds(), before - 1);
}

static void more_descriptors_than_the_message_may_carry_are_cut_off_and_closed(void **state)
{
	struct channel_pair *pair = *state;
	unsigned before = count_open_fds();

	raw_frame_init(&frame, FRAME_REQUEST, DIRTY_LOG, 1);
	frame.fd_count = 2;
	frame.header.fd_count = 2;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent dirty-log with 2 file descriptors, expected 1 to 1");
	assert_int_equal(count_open_fds(), before - 1);
}

static void a_missing_descriptor_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_REQUEST, DIRTY_LOG, 1);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent dirty-log with 0 file descriptors, expected 1 to 1");
}

static void descriptors_that_the_header_does_not_count_are_cut_off_and_closed(void **state)
{
	struct channel_pair *pair = *state;
	unsigned before = count_open_fds();

	raw_frame_init(&frame, FRAME_REQUEST, DIRTY_LOG, 1);
	frame.fd_count = 1;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a packet that claims 0 file descriptors and has 1");
	assert_int_equal(count_open_fds(), before - 1);
}

static void a_reply_to_nothing_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	raw_frame_init(&frame, FRAME_REPLY, STATS, 77);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a reply to nothing (type 9, id 77)");
}

static void a_second_reply_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	raw_frame_init(&frame, FRAME_REPLY, STATS, 1);
	raw_frame_send(pair, &frame);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a reply to nothing (type 9, id 1)");
	assert_int_equal(pair->ours.replies, 1);
}

static void a_second_late_reply_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 0), 0);
	channel_expire(pair->ours.channel, UINT64_MAX);
	raw_frame_init(&frame, FRAME_REPLY, STATS, 1);
	raw_frame_send(pair, &frame);
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), 0);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a reply to nothing (type 9, id 1)");
}

static void a_reply_of_the_wrong_type_is_cut_off_and_fails_its_request(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	raw_frame_init(&frame, FRAME_REPLY, QUIESCE, 1);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "answered request 1 of type 9 with type 4");
	assert_int_equal(pair->ours.reply_errors, 1);
	assert_int_equal(pair->ours.reply_error.code, -EPROTO);
}

static void a_reply_that_does_not_unpack_fails_its_request_once(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	raw_frame_init(&frame, FRAME_REPLY, STATS, 1);
	frame.header.payload_bytes = 1;
	frame.payload[0] = 0xff;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent stats: which is not a valid bulkhead.worker.Stats");
	assert_int_equal(pair->ours.replies, 0);
	assert_int_equal(pair->ours.reply_errors, 1);
}

static void a_message_that_unpacks_into_much_memory_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	raw_frame_init(&frame, FRAME_REPLY, STATS, 1);
	for (size_t i = 0; i < FRAME_MAX_PAYLOAD; i += 2) {
		frame.payload[i] = 0x0a; /* counters: an empty Counter in two bytes */
		frame.payload[i + 1] = 0;
	}
	frame.header.payload_bytes = FRAME_MAX_PAYLOAD;
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent stats: which needs more than 1048576 bytes to unpack");
}

static void what_the_handler_refuses_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;

	pair->ours.refuse = true;
	raw_frame_init(&frame, FRAME_REQUEST, STATS, 1);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a bad stats: the handler refuses");
}

static void a_flood_of_events_is_cut_off(void **state)
{
	struct channel_pair *pair = *state;
	int result = 0;

	raw_frame_init(&frame, FRAME_EVENT, NEEDS_RESET, 0);
	for (unsigned i = 0; i < 20 * CHANNEL_EVENT_BURST && result == 0; i++) {
		raw_frame_send(pair, &frame);
		result = channel_dispatch(pair->ours.channel, 0);
	}
	assert_cut_off(pair, "floods us with events (the last was needs-reset)");
	assert_true(pair->ours.events >= CHANNEL_EVENT_BURST);
}

static void a_peer_that_does_not_read_is_cut_off_with_bounded_memory(void **state)
{
	struct channel_pair *pair = *state;
	unsigned sent = 0;
	struct error err = ERROR_INIT;

	while (channel_reply(pair->ours.channel, QUIESCE, 1, NULL, NULL, 0, &err) == 0)
		assert_true(++sent < 100000);
	assert_int_equal(err.code, -ENOBUFS);
	assert_int_equal(pair->ours.closed, 0); /* not inside a send */
	assert_int_equal(channel_next_deadline_ms(pair->ours.channel), 0);
	channel_expire(pair->ours.channel, channel_now_ms());
	assert_int_equal(pair->ours.closed, 1);
	assert_int_equal(pair->ours.closed_error.code, -EPROTO);
	assert_non_null(strstr(pair->ours.closed_error.message,
			       "blk \"root\" does not read what is sent to it"));
	assert_int_equal(channel_dispatch(pair->ours.channel, 0), -ECONNRESET);
}

static void a_peer_that_never_answers_is_cut_off_in_the_end(void **state)
{
	struct channel_pair *pair = *state;

	for (unsigned i = 0; i < 65; i++) {
		assert_int_equal(pair->ours.closed, 0);
		assert_int_equal(channel_pair_request(&pair->ours, QUIESCE, 0), 0);
		channel_expire(pair->ours.channel, UINT64_MAX);
	}
	assert_int_equal(pair->ours.reply_errors, 65);
	assert_cut_off(pair, "left 65 requests without an answer");
}

static void a_bad_packet_ends_the_requests_that_wait(void **state)
{
	struct channel_pair *pair = *state;

	assert_int_equal(channel_pair_request(&pair->ours, QUIESCE, 1000), 0);
	assert_int_equal(channel_pair_request(&pair->ours, STATS, 1000), 0);
	raw_frame_init(&frame, FRAME_REPLY, STATS, 0);
	raw_frame_send(pair, &frame);
	assert_cut_off(pair, "sent a reply with id 0");
	assert_int_equal(pair->ours.reply_errors, 2);
	assert_int_equal(pair->ours.reply_error.code, -EPROTO);
}

int main(void)
{
#define RAW_TEST(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, channel_pair_setup_raw, channel_pair_teardown)
	const struct CMUnitTest tests[] = {
		RAW_TEST(garbage_is_cut_off),
		RAW_TEST(a_packet_shorter_than_a_header_is_cut_off),
		RAW_TEST(an_empty_packet_is_cut_off),
		RAW_TEST(a_packet_longer_than_the_limit_is_cut_off),
		RAW_TEST(a_payload_longer_than_its_message_may_be_is_cut_off),
		RAW_TEST(a_payload_where_none_belongs_is_cut_off),
		RAW_TEST(a_message_that_does_not_unpack_is_cut_off),
		RAW_TEST(an_unknown_type_is_cut_off),
		RAW_TEST(a_known_type_of_the_wrong_kind_is_cut_off),
		RAW_TEST(a_message_in_the_wrong_state_is_cut_off),
		RAW_TEST(more_descriptors_than_a_packet_may_carry_are_cut_off_and_closed),
		RAW_TEST(more_descriptors_than_the_message_may_carry_are_cut_off_and_closed),
		RAW_TEST(a_missing_descriptor_is_cut_off),
		RAW_TEST(descriptors_that_the_header_does_not_count_are_cut_off_and_closed),
		RAW_TEST(a_reply_to_nothing_is_cut_off),
		RAW_TEST(a_second_reply_is_cut_off),
		RAW_TEST(a_second_late_reply_is_cut_off),
		RAW_TEST(a_reply_of_the_wrong_type_is_cut_off_and_fails_its_request),
		RAW_TEST(a_reply_that_does_not_unpack_fails_its_request_once),
		RAW_TEST(a_message_that_unpacks_into_much_memory_is_cut_off),
		RAW_TEST(what_the_handler_refuses_is_cut_off),
		RAW_TEST(a_flood_of_events_is_cut_off),
		RAW_TEST(a_peer_that_does_not_read_is_cut_off_with_bounded_memory),
		RAW_TEST(a_peer_that_never_answers_is_cut_off_in_the_end),
		RAW_TEST(a_bad_packet_ends_the_requests_that_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
