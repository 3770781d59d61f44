/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of a worker besides its life cycle: its state, its counters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devworkers/common/state_file.h"
#include "ipc/cleanup.h"
#include "vmm/core/workers/worker_device_parts.h"

/* A state or counters request carries its own callback, so that it need not be a life-cycle one. */
struct worker_question {
	struct worker_device *device;
	worker_device_state_fn state_done;
	worker_device_counters_fn counters_done;
	void *opaque;
};

static void on_save_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct worker_question *question = opaque;
	struct worker_device *device = question->device;
	struct error failure = ERROR_INIT;
	cleanup_free uint8_t *from_fd = NULL;
	const uint8_t *state = NULL;
	size_t bytes = 0;

	if (!message) {
		failure = *err;
	} else if (message->fd_count) {
		if (state_file_read(message->fds[0], &from_fd, &bytes, &failure) == 0)
			state = from_fd;
	} else {
		const Bulkhead__Worker__StateReply *reply =
			(const Bulkhead__Worker__StateReply *)message->body;

		state = reply->state.data;
		bytes = reply->state.len;
	}
	if (failure.code)
		error_prefix(&failure, "device \"%s\"", device->id);
	question->state_done(question->opaque, device, state, bytes,
			     failure.code ? &failure : NULL);
	free(question);
}

static struct worker_question *worker_question_new(struct worker_device *device, void *opaque,
						   struct error *err)
{
	struct worker_question *question;

	if (worker_require_configured(device, err) < 0)
		return NULL;
	question = calloc(1, sizeof(*question));
	if (!question) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	question->device = device;
	question->opaque = opaque;
	return question;
}

int worker_device_save(struct worker_device *device, uint32_t timeout_ms,
		       worker_device_state_fn done, void *opaque, struct error *err)
{
	struct worker_question *question = worker_question_new(device, opaque, err);

	if (!question)
		return err->code;
	question->state_done = done;
	if (worker_request_simple(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_SAVE_STATE,
				  timeout_ms, on_save_reply, question, err) < 0) {
		free(question);
		return err->code;
	}
	return 0;
}

#define MAX_COUNTERS 32

static void on_stats_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct worker_question *question = opaque;
	struct worker_device_counter counters[MAX_COUNTERS];
	size_t count = 0;

	if (message) {
		const Bulkhead__Worker__Stats *stats =
			(const Bulkhead__Worker__Stats *)message->body;

		for (; count < stats->n_counters && count < MAX_COUNTERS; count++) {
			(void)snprintf(counters[count].name, sizeof(counters[count].name), "%s",
				       stats->counters[count]->name);
			counters[count].value = stats->counters[count]->value;
		}
	}
	question->counters_done(question->opaque, question->device, counters, count,
				message ? NULL : err);
	free(question);
}

int worker_device_counters(struct worker_device *device, worker_device_counters_fn done,
			   void *opaque, struct error *err)
{
	struct worker_question *question = worker_question_new(device, opaque, err);

	if (!question)
		return err->code;
	question->counters_done = done;
	if (worker_request_simple(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS,
				  WORKER_STATS_TIMEOUT_MS, on_stats_reply, question, err) < 0) {
		free(question);
		return err->code;
	}
	return 0;
}
