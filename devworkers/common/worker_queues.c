/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of a running worker: kicks, draining, resuming, and what a malformed ring does. */
#include <errno.h>
#include <stdio.h>

#include "devworkers/common/worker_context.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

#define DRAIN_DEFAULT_TIMEOUT_MS 5000U
#define DRAIN_MAX_TIMEOUT_MS	 600000U

static bool queues_may_run(const struct worker *worker)
{
	return worker->active && !worker->quiescing && !worker->needs_reset;
}

void worker_run_queues(struct worker *worker)
{
	for (unsigned i = 0; i < worker->description.queue_count; i++) {
		struct worker_queue *slot = &worker->queues[i];

		if (slot->started && queues_may_run(worker))
			worker->ops->queue_ready(worker, &slot->queue);
	}
}

void worker_resume_queues(struct worker *worker)
{
	if (!worker->active || worker->needs_reset)
		return;
	for (unsigned i = 0; i < worker->description.queue_count; i++)
		if (worker->queues[i].started)
			virtqueue_notify_always(&worker->queues[i].queue);
	worker_run_queues(worker);
}

void worker_release_guest(struct worker *worker)
{
	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++) {
		struct worker_queue *slot = &worker->queues[i];

		loop_unwatch(slot->watch);
		slot->watch = NULL;
		if (slot->started)
			virtqueue_stop(&slot->queue);
		slot->started = false;
	}
	inflight_log_close(worker->inflight);
	worker->inflight = NULL;
	guest_memory_destroy(&worker->memory);
	fd_close(&worker->userfaultfd);
	worker->features = 0;
	worker->active = false;
	worker->needs_reset = false;
}

/* ---- draining ---- */

static unsigned count_in_flight(const struct worker *worker)
{
	unsigned count = 0;

	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++)
		if (worker->queues[i].started)
			count += worker->queues[i].queue.in_flight;
	return count;
}

static void drain_expired(void *opaque)
{
	worker_abandon_drain(opaque, -ETIMEDOUT, "the device did not drain in time");
}

static void forget_drain(struct worker *worker)
{
	(void)loop_set_timer(worker->loop, UINT64_MAX, drain_expired, worker);
	worker->drain = (struct worker_drain){.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NONE};
}

void worker_abandon_drain(struct worker *worker, int code, const char *reason)
{
	struct worker_drain drain = worker->drain;
	struct error failure = ERROR_INIT;

	if (drain.type == BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NONE)
		return;
	forget_drain(worker);
	error_set(&failure, code, "%s (%u requests in flight)", reason, count_in_flight(worker));
	worker_reply_error(worker, drain.type, drain.request_id, &failure);
}

static void reset_device(struct worker *worker)
{
	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++)
		if (worker->queues[i].started && worker->queues[i].queue.inflight)
			inflight_queue_clear(worker->queues[i].queue.inflight);
	if (worker->ops->reset)
		worker->ops->reset(worker);
	worker_release_guest(worker);
	worker->quiescing = false;
	worker->state = BULKHEAD__WORKER__STATE__STATE_CONFIGURED;
}

/* The device is drained: do what was waiting for it. */
static void finish_drain(struct worker *worker)
{
	struct worker_drain drain = worker->drain;

	forget_drain(worker);
	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++)
		if (worker->queues[i].started)
			virtqueue_notify(&worker->queues[i].queue);
	switch (drain.type) {
	case BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_RESET:
		reset_device(worker);
		break;
	case BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE:
		worker->state = BULKHEAD__WORKER__STATE__STATE_QUIESCED;
		break;
	default: /* SHUTDOWN */
		worker->state = BULKHEAD__WORKER__STATE__STATE_STOPPED;
		worker->ending = true;
	}
	worker_reply(worker, drain.type, drain.request_id, NULL, NULL, 0);
}

static int drain_device(struct worker *worker, struct error *failure)
{
	int ret = 0;

	if (worker->active && worker->ops->drain)
		ret = worker->ops->drain(worker, failure);
	if (ret == 0 && count_in_flight(worker) > 0)
		return error_set(failure, -EBUSY, "the device kept %u requests",
				 count_in_flight(worker));
	return ret;
}

void worker_begin_drain(struct worker *worker, uint16_t type, uint32_t id, uint32_t timeout_ms)
{
	struct error failure = ERROR_INIT;
	int ret;

	if (timeout_ms == 0)
		timeout_ms = DRAIN_DEFAULT_TIMEOUT_MS;
	if (timeout_ms > DRAIN_MAX_TIMEOUT_MS)
		timeout_ms = DRAIN_MAX_TIMEOUT_MS;
	worker->quiescing = true;
	worker->drain = (struct worker_drain){type, id};
	ret = drain_device(worker, &failure);
	/* A device may call worker_drained() from inside drain(): answered already then. */
	if (worker->drain.type != type || worker->drain.request_id != id)
		return;
	if (ret == 0) {
		finish_drain(worker);
	} else if (ret > 0) {
		(void)loop_set_timer(worker->loop, channel_now_ms() + timeout_ms, drain_expired,
				     worker);
	} else {
		forget_drain(worker);
		worker_reply_error(worker, type, id, &failure);
	}
}

void worker_drained(struct worker *worker, const struct error *err)
{
	if (worker->drain.type == BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NONE)
		return; /* the request was abandoned meanwhile */
	if (err && err->code != 0) {
		worker_abandon_drain(worker, err->code, err->message);
		return;
	}
	/* The end of an earlier, abandoned drain: chains were popped since, theirs is to come. */
	if (count_in_flight(worker) > 0)
		return;
	finish_drain(worker);
}

/* ---- what devices ask of their queues ---- */

struct virtqueue *worker_queue(struct worker *worker, unsigned index)
{
	if (index >= WORKER_MAX_QUEUES || !worker->queues[index].started)
		return NULL;
	return &worker->queues[index].queue;
}

bool worker_is_quiescing(const struct worker *worker)
{
	return worker->quiescing;
}

void worker_needs_reset(struct worker *worker, const char *reason)
{
	Bulkhead__Worker__NeedsReset event;
	struct error err = ERROR_INIT;
	char text[ERROR_MESSAGE_SIZE];

	if (!worker->active || worker->needs_reset)
		return;
	worker->needs_reset = true;
	for (unsigned i = 0; i < WORKER_MAX_QUEUES; i++) {
		loop_unwatch(worker->queues[i].watch);
		worker->queues[i].watch = NULL;
		worker->queues[i].queue.enabled = false;
	}
	(void)snprintf(text, sizeof(text), "%s", reason);
	if (log_ratelimit_allow(&worker->guest_lines, NULL))
		log_warning("the device needs a reset: %s", text);
	bulkhead__worker__needs_reset__init(&event);
	event.reason = text;
	if (channel_event(worker->channel, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET,
			  &event.base, NULL, 0, &err) < 0)
		log_error("cannot report it: %s", err.message);
	worker_watch_channel(worker);
}
