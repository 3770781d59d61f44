/* SPDX-License-Identifier: Apache-2.0 */
/* Draining, resuming, malformed rings and logs, with a real worker. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/inflight_log.h"
#include "tests/devworkers/common/echo_device.h"

#define MESSAGE(name) BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name

static void a_quiesced_device_pops_nothing_until_it_is_resumed(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
	assert_true(echo_device_add(echo, 0, "while quiesced") >= 0);
	ring_driver_kick_always(&echo->rings[0]);
	assert_false(ring_driver_wait(&echo->rings[0], ECHO_NOT_WITHIN_MS));
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
}

static void resume_calls_the_driver_whatever_its_suppression_says(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_true(echo_device_works(echo, "before"));
	(void)ring_driver_was_called(&echo->rings[0]);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
	(void)ring_driver_was_called(&echo->rings[0]);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_int_equal(echo_device_counter(echo, "requests"), 1); /* resumed by now */
	assert_true(ring_driver_was_called(&echo->rings[0]));
	assert_true(ring_driver_was_called(&echo->rings[1]));
}

static void a_device_may_start_quiesced(void **state)
{
	struct echo_device *echo = *state;
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.quiesced = true,
	};
	struct error err = ERROR_INIT;
	uint8_t *bytes;
	size_t length;

	assert_true(echo_device_add(echo, 0, "waits") >= 0);
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, NULL, &err), 0);
	assert_false(ring_driver_wait(&echo->rings[0], ECHO_NOT_WITHIN_MS));
	assert_int_equal(worker_driver_save_state(&echo->driver, &bytes, &length, &err), 0);
	free(bytes);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
}

static void an_inactive_device_can_be_quiesced_and_resumed(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "active"));
}

static void activation_while_quiesced_waits_for_resume(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
	assert_true(echo_device_add(echo, 0, "waits") >= 0);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_false(ring_driver_wait(&echo->rings[0], ECHO_NOT_WITHIN_MS));
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
}

/* ---- a request that takes its time ---- */

struct late_reply {
	unsigned count;
	int code;
};

static void note_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct late_reply *reply = opaque;

	(void)message;
	reply->count++;
	reply->code = err ? err->code : 0;
}

static void request(struct echo_device *echo, uint16_t type, uint32_t timeout_ms,
		    struct late_reply *reply)
{
	Bulkhead__Worker__Drain body = BULKHEAD__WORKER__DRAIN__INIT;
	struct error err = ERROR_INIT;

	body.timeout_ms = timeout_ms;
	*reply = (struct late_reply){0};
	if (channel_request(echo->driver.channel, type, &body.base, NULL, 0, 10000, note_reply,
			    reply, &err) < 0)
		fail_msg("%s", err.message);
}

/* One chain on queue 1, which keeps it. */
static void hold_one(struct echo_device *echo)
{
	assert_true(echo_device_add(echo, 1, "held") >= 0);
	(void)ring_driver_kick(&echo->rings[1]);
	for (unsigned i = 0; i < 1000 && echo_device_counter(echo, "requests") == 0; i++)
		usleep(1000);
	assert_int_equal(echo_device_counter(echo, "requests"), 1);
}

static void quiesce_is_answered_when_the_last_chain_is_back(void **state)
{
	struct echo_device *echo = *state;
	struct late_reply reply;
	struct error err = ERROR_INIT;

	hold_one(echo);
	request(echo, MESSAGE(QUIESCE), 5000, &reply);
	assert_false(worker_driver_wait_event(&echo->driver, &reply.count, 1, ECHO_NOT_WITHIN_MS));
	assert_int_equal(echo->rings[1].used->index, 0);
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &reply.count, 1, ECHO_WAIT_MS));
	assert_int_equal(reply.code, 0);
	assert_int_equal(echo->rings[1].used->index, 1);
}

static void a_drain_that_misses_its_deadline_is_an_error_and_resume_heals_it(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	hold_one(echo);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 50, &err), -ETIMEDOUT);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_true(echo_device_works(echo, "as it was"));
	/* The late end of that drain is no answer to the next request. */
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
}

/* As the end of an earlier, abandoned drain would. */
static void drained_with_chains_in_flight_is_not_believed(void **state)
{
	struct echo_device *echo = *state;
	struct late_reply reply;
	struct error err = ERROR_INIT;

	hold_one(echo);
	request(echo, MESSAGE(QUIESCE), 5000, &reply);
	assert_int_equal(echo_device_command(echo, 'd', &err), 0);
	assert_int_equal(reply.count, 0);
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &reply.count, 1, ECHO_WAIT_MS));
	assert_int_equal(reply.code, 0);
}

static void resume_ends_a_quiesce_that_still_waits(void **state)
{
	struct echo_device *echo = *state;
	struct late_reply reply;
	struct error err = ERROR_INIT;

	hold_one(echo);
	request(echo, MESSAGE(QUIESCE), 5000, &reply);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_int_equal(reply.count, 1);
	assert_int_equal(reply.code, -ECANCELED);
	assert_true(echo_device_works(echo, "goes on"));
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
}

static void reset_replaces_a_quiesce_that_still_waits(void **state)
{
	struct echo_device *echo = *state;
	struct late_reply quiesce, reset;
	struct error err = ERROR_INIT;

	hold_one(echo);
	request(echo, MESSAGE(QUIESCE), 5000, &quiesce);
	request(echo, MESSAGE(RESET), 5000, &reset);
	assert_true(worker_driver_wait_event(&echo->driver, &quiesce.count, 1, ECHO_WAIT_MS));
	assert_int_equal(quiesce.code, -ECANCELED);
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &reset.count, 1, ECHO_WAIT_MS));
	assert_int_equal(reset.code, 0);
	assert_int_equal(echo_device_counter(echo, "resets"), 1);
}

static void quiesce_during_a_reset_is_refused(void **state)
{
	struct echo_device *echo = *state;
	struct late_reply reset;
	struct error err = ERROR_INIT;

	hold_one(echo);
	request(echo, MESSAGE(RESET), 5000, &reset);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), -EBUSY);
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &reset.count, 1, ECHO_WAIT_MS));
}

static void a_device_that_cannot_drain_says_so(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(echo_device_command(echo, 'f', &err), 0);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), -EIO);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_true(echo_device_works(echo, "still works"));
	/* It will not drain for SHUTDOWN either. */
	channel_destroy(echo->driver.channel);
	echo->driver.channel = NULL;
}

/* ---- malformed rings ---- */

static void a_malformed_ring_is_reported_once_and_reset_heals_it(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_true(echo_device_works(echo, "before"));
	echo->rings[0].available[VRING_AVAILABLE_INDEX] += 1000;
	for (unsigned i = 0; i < 10; i++)
		ring_driver_kick_always(&echo->rings[0]);
	assert_true(worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, 1,
					     ECHO_WAIT_MS));
	assert_non_null(strstr(echo->driver.needs_reset_reason, "queue 0: available index jumps"));
	ring_driver_kick_always(&echo->rings[1]);
	assert_false(worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, 2,
					      ECHO_NOT_WITHIN_MS));
	assert_int_equal(worker_driver_reset(&echo->driver, 1000, &err), 0);
	for (unsigned i = 0; i < 2; i++)
		ring_driver_reset(&echo->rings[i]);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "after"));
}

static void no_queue_pops_after_one_of_them_broke(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	ring_driver_offer(&echo->rings[1], 999);
	ring_driver_kick_always(&echo->rings[1]);
	assert_true(worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, 1,
					     ECHO_WAIT_MS));
	assert_true(echo_device_add(echo, 0, "too late") >= 0);
	ring_driver_kick_always(&echo->rings[0]);
	assert_int_equal(echo_device_command(echo, 'p', &err), 0);
	assert_int_equal(worker_driver_quiesce(&echo->driver, 1000, &err), 0);
	assert_int_equal(worker_driver_resume(&echo->driver, &err), 0);
	assert_int_equal(echo_device_counter(echo, "requests"), 0);
	assert_int_equal(echo->rings[0].used->index, 0);
}

static void a_ring_moved_after_activation_is_not_looked_at(void **state)
{
	struct echo_device *echo = *state;

	/* The guest's new idea of where the ring is; only a reset would tell the worker. */
	struct ring_driver moved;

	ring_driver_init(&moved, &echo->ram, 0, ECHO_RING_SIZE, true);
	ring_driver_offer(&moved, 5);
	ring_driver_kick_always(&echo->rings[0]);
	assert_true(echo_device_works(echo, "the old place"));
	assert_int_equal(echo->driver.needs_reset_count, 0);
	ring_driver_destroy(&moved);
}

/* ---- logs ---- */

static void written_pages_reach_the_dirty_log_also_after_a_reset(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(ECHO_RAM_BYTES / 4096 / 8);
	uint8_t *bits = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t page = echo->answer / 4096;

	assert_int_equal(worker_driver_dirty_log(&echo->driver, fd, &err), 0);
	assert_true(echo_device_works(echo, "logged"));
	assert_true(bits[page / 8] & (1 << page % 8));
	assert_false(bits[echo->request / 4096 / 8] & (1 << echo->request / 4096 % 8));
	assert_int_equal(worker_driver_reset(&echo->driver, 1000, &err), 0);
	memset(bits, 0, 4096);
	for (unsigned i = 0; i < 2; i++)
		ring_driver_reset(&echo->rings[i]);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "logged again"));
	assert_true(bits[page / 8] & (1 << page % 8));
	assert_int_equal(worker_driver_dirty_log(&echo->driver, -1, &err), 0);
	memset(bits, 0, 4096);
	assert_true(echo_device_works(echo, "not logged"));
	assert_int_equal(bits[page / 8], 0);
	munmap(bits, 4096);
	close(fd);
}

static void a_dirty_log_that_is_too_small_is_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(8);

	assert_int_equal(worker_driver_dirty_log(&echo->driver, fd, &err), -EINVAL);
	assert_true(echo_device_works(echo, "still works"));
	close(fd);
}

static void a_worker_that_was_killed_is_replaced_without_losing_a_request(void **state)
{
	struct echo_device *echo = *state;
	int log = guest_ram_log_file(inflight_log_bytes(2, 64));
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.restored = true,
		.inflight_fd = log,
	};
	struct worker_driver_activation first = activation;
	struct error err = ERROR_INIT;
	uint16_t head;

	first.restored = false;
	assert_int_equal(worker_driver_activate(&echo->driver, &first, NULL, &err), 0);
	for (unsigned i = 0; i < 40;
	     i++) /* more than a queue: the indices must come from the log */
		assert_true(echo_device_works(echo, "completed"));
	assert_true(echo_device_add(echo, 1, "held") >= 0);
	(void)ring_driver_kick(&echo->rings[1]);
	for (unsigned i = 0; i < 1000 && echo_device_counter(echo, "requests") < 41; i++)
		usleep(1000);
	channel_destroy(echo->driver.channel);
	echo->driver.channel = NULL;
	(void)worker_launch_reap(&echo->driver.process, 0);

	assert_true(echo_device_add(echo, 0, "while it was dead") >= 0);
	echo_device_restart(echo);
	assert_int_equal(worker_driver_configure(&echo->driver, NULL, NULL, 0, &err), 0);
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, NULL, &err), 0);
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
	assert_true(ring_driver_take(&echo->rings[0], &head, NULL));
	assert_int_equal(echo_device_counter(echo, "requests"), 2); /* the new one, the held one */
	assert_int_equal(echo_device_command(echo, 'l', &err), 0);
	assert_true(ring_driver_wait(&echo->rings[1], ECHO_WAIT_MS));
	assert_true(echo_device_works(echo, "goes on"));
	close(log);
}

#define CONFIGURED(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, echo_device_start_configured, echo_device_stop)
#define RUNNING(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, echo_device_start_running, echo_device_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNNING(a_quiesced_device_pops_nothing_until_it_is_resumed),
		RUNNING(resume_calls_the_driver_whatever_its_suppression_says),
		CONFIGURED(a_device_may_start_quiesced),
		CONFIGURED(an_inactive_device_can_be_quiesced_and_resumed),
		CONFIGURED(activation_while_quiesced_waits_for_resume),
		RUNNING(quiesce_is_answered_when_the_last_chain_is_back),
		RUNNING(a_drain_that_misses_its_deadline_is_an_error_and_resume_heals_it),
		RUNNING(drained_with_chains_in_flight_is_not_believed),
		RUNNING(resume_ends_a_quiesce_that_still_waits),
		RUNNING(reset_replaces_a_quiesce_that_still_waits),
		RUNNING(quiesce_during_a_reset_is_refused),
		RUNNING(a_device_that_cannot_drain_says_so),
		RUNNING(a_malformed_ring_is_reported_once_and_reset_heals_it),
		RUNNING(no_queue_pops_after_one_of_them_broke),
		RUNNING(a_ring_moved_after_activation_is_not_looked_at),
		RUNNING(written_pages_reach_the_dirty_log_also_after_a_reset),
		RUNNING(a_dirty_log_that_is_too_small_is_refused),
		CONFIGURED(a_worker_that_was_killed_is_replaced_without_losing_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
