/* SPDX-License-Identifier: Apache-2.0 */
/* channel_call_sync(), against a peer in a thread of its own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/cleanup.h"
#include "tests/ipc/channel_pair.h"

#define STATS	    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS
#define NEEDS_RESET BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET

/* Waits for one packet and answers it; answer_with_fd: an fd that no row allows. */
struct responder {
	struct channel_pair *pair;
	bool event_first, close_instead;
};

static void *respond(void *opaque)
{
	struct responder *responder = opaque;
	struct endpoint *theirs = &responder->pair->theirs;
	struct pollfd poll_fd = {.fd = channel_fd(theirs->channel), .events = POLLIN};
	Bulkhead__Worker__Counter counter;
	Bulkhead__Worker__Counter *counters[] = {&counter};
	Bulkhead__Worker__Stats stats;
	char name[] = "read_bytes";

	(void)poll(&poll_fd, 1, 5000);
	theirs->answer = false;
	(void)channel_dispatch(theirs->channel, 0);
	if (responder->close_instead) {
		channel_destroy(theirs->channel);
		theirs->channel = NULL;
		return NULL;
	}
	if (responder->event_first) {
		Bulkhead__Worker__NeedsReset event;

		bulkhead__worker__needs_reset__init(&event);
		(void)channel_event(theirs->channel, NEEDS_RESET, &event.base, NULL, 0, NULL);
	}
	bulkhead__worker__counter__init(&counter);
	bulkhead__worker__stats__init(&stats);
	counter.name = name;
	counter.value = 4096;
	stats.counters = counters;
	stats.n_counters = 1;
	(void)channel_reply(theirs->channel, STATS, theirs->last_id, &stats.base, NULL, 0, NULL);
	return NULL;
}

static int call(struct responder *responder, ProtobufCMessage **reply, struct error *err)
{
	pthread_t thread;
	int result;

	assert_int_equal(pthread_create(&thread, NULL, respond, responder), 0);
	result = channel_call_sync(responder->pair->ours.channel, STATS, NULL, NULL, 0, 5000, reply,
				   NULL, NULL, err);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return result;
}

static void a_call_returns_the_reply_for_the_caller_to_free(void **state)
{
	struct responder responder = {.pair = *state};
	ProtobufCMessage *reply = NULL;
	struct error err = ERROR_INIT;
	const Bulkhead__Worker__Stats *stats;

	assert_int_equal(call(&responder, &reply, &err), 0);
	stats = (const void *)reply;
	assert_int_equal(stats->n_counters, 1);
	assert_string_equal(stats->counters[0]->name, "read_bytes");
	assert_int_equal(stats->counters[0]->value, 4096);
	protobuf_c_message_free_unpacked(reply, NULL);
}

static void events_are_handled_while_a_call_waits(void **state)
{
	struct responder responder = {.pair = *state, .event_first = true};
	struct error err = ERROR_INIT;

	assert_int_equal(call(&responder, NULL, &err), 0);
	assert_int_equal(responder.pair->ours.events, 1);
}

static void a_call_fails_when_the_peer_goes_away(void **state)
{
	struct responder responder = {.pair = *state, .close_instead = true};
	ProtobufCMessage *reply = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(call(&responder, &reply, &err), -ECONNRESET);
	assert_null(reply);
	assert_string_equal(err.message, "blk \"root\": closed the connection");
}

static void a_call_that_nobody_answers_times_out(void **state)
{
	struct channel_pair *pair = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(channel_call_sync(pair->ours.channel, STATS, NULL, NULL, 0, 20, NULL, NULL,
					   NULL, &err),
			 -ETIMEDOUT);
	assert_string_equal(err.message, "blk \"root\": no answer to stats within 20 ms");
}

int main(void)
{
#define PAIR_TEST(name)                                                                            \
	cmocka_unit_test_setup_teardown(name, channel_pair_setup, channel_pair_teardown)
	const struct CMUnitTest tests[] = {
		PAIR_TEST(a_call_returns_the_reply_for_the_caller_to_free),
		PAIR_TEST(events_are_handled_while_a_call_waits),
		PAIR_TEST(a_call_fails_when_the_peer_goes_away),
		PAIR_TEST(a_call_that_nobody_answers_times_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
