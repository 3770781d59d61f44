/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of proto/worker.proto. The channel has checked type, length, number of fds and state
 * before a handler runs. A handler answers, or hands the answer on (draining); it returns an error
 * only when the core broke the protocol, which ends the worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "devworkers/common/state_file.h"
#include "devworkers/common/worker_context.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

#define MESSAGE(name) BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name
#define STATE(name)   BULKHEAD__WORKER__STATE__STATE_##name
#define IN(name)      (1U << STATE(name))

#define FRAMEWORK_FEATURES                                                                         \
	((UINT64_C(1) << VIRTIO_F_VERSION_1) | (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC) |      \
	 (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX))

/* A state that is larger takes a file; the rest of a packet is left to the other fields. */
#define MAX_STATE_IN_PACKET (CHANNEL_MAX_PAYLOAD - 1024)

/* Answer an ordinary request: with an error if one is set. */
static void answer(struct worker *worker, const struct channel_message *message,
		   const ProtobufCMessage *body, const struct error *failure)
{
	if (failure->code != 0)
		worker_reply_error(worker, message->type, message->id, failure);
	else
		worker_reply(worker, message->type, message->id, body, NULL, 0);
}

/* ---- CONFIGURE ---- */

static int check_description(const struct worker_description *description, struct error *err)
{
	if (description->queue_count > WORKER_MAX_QUEUES ||
	    description->config_space_bytes > WORKER_MAX_CONFIG_SPACE)
		return error_set(err, -EINVAL, "%u queues and %zu bytes of configuration",
				 description->queue_count, description->config_space_bytes);
	for (unsigned i = 0; i < description->queue_count; i++) {
		unsigned size = description->queue_sizes[i];

		if (size < 2 || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1)) != 0)
			return error_set(err, -EINVAL, "queue %u of size %u", i, size);
	}
	return 0;
}

/* The saved state, from the message or its last fd, checked and applied to the device. */
static int restore_state(struct worker *worker, const Bulkhead__Worker__Configure *configure,
			 int state_fd, struct error *err)
{
	const uint8_t *bytes = configure->saved_state.data;
	size_t length = configure->saved_state.len;
	cleanup_free uint8_t *from_file = NULL;
	int ret;

	if (state_fd >= 0) {
		ret = state_file_read(state_fd, &from_file, &length, err);
		if (ret < 0)
			return ret;
		bytes = from_file;
	}
	if (length == 0)
		return 0;
	ret = worker_parse_saved(worker, bytes, length, &worker->saved, err);
	if (ret < 0)
		return ret;
	if (worker->ops->restore)
		return worker->ops->restore(worker, worker->saved->device.data,
					    worker->saved->device.len, err);
	if (worker->saved->device.len > 0)
		return error_set(err, -EINVAL, "saved state has a device part, \"%s\" has none",
				 worker->ops->kind);
	return 0;
}

static int configure_device(struct worker *worker, const Bulkhead__Worker__Configure *configure,
			    struct channel_message *message, struct error *err)
{
	unsigned device_fds = message->fd_count - (configure->saved_state_by_fd ? 1 : 0);
	int ret;

	if (configure->device_id[0] != '\0')
		(void)snprintf(worker->device_id, sizeof(worker->device_id), "%s",
			       configure->device_id);
	ret = worker->ops->configure(worker, configure->device.data, configure->device.len,
				     message->fds, device_fds, &worker->description, err);
	if (ret == 0)
		ret = check_description(&worker->description, err);
	if (ret < 0)
		return ret;
	worker->description.features |= FRAMEWORK_FEATURES;
	return restore_state(worker, configure,
			     configure->saved_state_by_fd ? message->fds[device_fds] : -1, err);
}

static int on_configure(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	const Bulkhead__Worker__Configure *configure = (const void *)message->body;
	const struct worker_description *description = &worker->description;
	Bulkhead__Worker__Configured body = BULKHEAD__WORKER__CONFIGURED__INIT;
	uint32_t queue_sizes[WORKER_MAX_QUEUES];
	uint8_t config_space[WORKER_MAX_CONFIG_SPACE];
	struct error failure = ERROR_INIT;

	if (configure->saved_state_by_fd && message->fd_count == 0)
		return error_set(err, -EPROTO, "configure without the saved state's descriptor");
	if (configure_device(worker, configure, message, &failure) < 0) {
		/* Half configured: this process cannot be tried again. A SHUTDOWN may be under way.
		 */
		worker_reply_error(worker, message->type, message->id, &failure);
		worker->state = STATE(STOPPED);
		worker->ending = true;
		worker_watch_channel(worker);
		return 0;
	}
	worker->state = STATE(CONFIGURED);
	body.features = description->features;
	memcpy(config_space, description->config_space, description->config_space_bytes);
	body.config_space.data = config_space;
	body.config_space.len = description->config_space_bytes;
	for (unsigned i = 0; i < description->queue_count; i++)
		queue_sizes[i] = description->queue_sizes[i];
	body.queue_sizes = queue_sizes;
	body.n_queue_sizes = description->queue_count;
	answer(worker, message, &body.base, &failure);
	return 0;
}

/* ---- ACTIVATE, and the requests that drain ---- */

/* On-demand memory can be touched from here on: the core has what it needs to serve it. */
static void reply_activated(struct worker *worker, const struct channel_message *message)
{
	Bulkhead__Worker__Activated body = BULKHEAD__WORKER__ACTIVATED__INIT;
	uint64_t addresses[GUEST_MEMORY_MAX_REGIONS];

	if (worker->userfaultfd < 0) {
		worker_reply(worker, message->type, message->id, &body.base, NULL, 0);
		return;
	}
	for (unsigned i = 0; i < worker->memory.region_count; i++)
		addresses[i] = (uintptr_t)worker->memory.regions[i].hva;
	body.region_addresses = addresses;
	body.n_region_addresses = worker->memory.region_count;
	worker_reply(worker, message->type, message->id, &body.base, &worker->userfaultfd, 1);
}

static int on_activate(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	struct error failure = ERROR_INIT;
	bool needs_reset;
	int ret = worker_activate(worker, message, &failure, err);

	if (ret < 0)
		return ret;
	if (failure.code != 0) {
		worker_reply_error(worker, message->type, message->id, &failure);
		return 0;
	}
	reply_activated(worker, message);
	needs_reset = worker->saved && worker->saved->needs_reset;
	worker_free_saved(worker->saved);
	worker->saved = NULL;
	if (needs_reset)
		worker_needs_reset(worker, "it did when its state was saved");
	worker_run_queues(worker);
	return 0;
}

static int on_drain(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	const Bulkhead__Worker__Drain *drain = (const void *)message->body;
	struct error failure = ERROR_INIT;

	(void)err;
	if (worker->drain.type != MESSAGE(NONE) && message->type == MESSAGE(QUIESCE)) {
		error_set(&failure, -EBUSY, "the device is draining already");
		worker_reply_error(worker, message->type, message->id, &failure);
		return 0;
	}
	worker_abandon_drain(worker, -ECANCELED, "another request came");
	if (message->type == MESSAGE(RESET)) {
		worker_free_saved(worker->saved);
		worker->saved = NULL;
	}
	worker_begin_drain(worker, message->type, message->id, drain->timeout_ms);
	return 0;
}

static int on_resume(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	struct error failure = ERROR_INIT;

	(void)err;
	if (worker->drain.type != MESSAGE(NONE) && worker->drain.type != MESSAGE(QUIESCE)) {
		error_set(&failure, -EBUSY, "the device is being reset");
		answer(worker, message, NULL, &failure);
		return 0;
	}
	worker_abandon_drain(worker, -ECANCELED, "the device was resumed");
	worker->quiescing = false;
	worker->state = worker->active ? STATE(RUNNING) : STATE(CONFIGURED);
	answer(worker, message, NULL, &failure);
	worker_resume_queues(worker);
	return 0;
}

/* ---- the others ---- */

static int on_save_state(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	Bulkhead__Worker__StateReply body = BULKHEAD__WORKER__STATE_REPLY__INIT;
	struct error failure = ERROR_INIT;
	cleanup_free uint8_t *state = NULL;
	cleanup_fd int fd = -1;
	size_t bytes = 0;

	(void)err;
	if (worker_pack_state(worker, &state, &bytes, &failure) == 0 && bytes > MAX_STATE_IN_PACKET)
		fd = state_file_create(state, bytes, &failure);
	if (failure.code != 0) {
		worker_reply_error(worker, message->type, message->id, &failure);
		return 0;
	}
	if (fd < 0) {
		body.state.data = state;
		body.state.len = bytes;
	}
	worker_reply(worker, message->type, message->id, &body.base, &fd, fd >= 0);
	return 0;
}

static int on_update(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	const Bulkhead__Worker__Update *update = (const void *)message->body;
	struct error failure = ERROR_INIT;

	(void)err;
	if (worker->ops->update)
		(void)worker->ops->update(worker, update->device.data, update->device.len,
					  message->fds, message->fd_count, &failure);
	else
		error_set(&failure, -EOPNOTSUPP, "\"%s\" has nothing to update", worker->ops->kind);
	answer(worker, message, NULL, &failure);
	return 0;
}

static int on_dirty_log(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	const Bulkhead__Worker__DirtyLog *log = (const void *)message->body;
	bool start = log->action == BULKHEAD__WORKER__DIRTY_LOG_ACTION__DIRTY_LOG_START;
	struct error failure = ERROR_INIT;

	if ((!start && log->action != BULKHEAD__WORKER__DIRTY_LOG_ACTION__DIRTY_LOG_STOP) ||
	    message->fd_count != (start ? 1 : 0))
		return error_set(err, -EPROTO, "dirty-log action %d with %u descriptors",
				 (int)log->action, message->fd_count);
	if (start && worker->active)
		(void)guest_memory_dirty_log_start(&worker->memory, message->fds[0], &failure);
	else if (!start)
		guest_memory_dirty_log_stop(&worker->memory);
	if (failure.code == 0) {
		/* Kept, so that it goes on when the driver resets and activates the device. */
		fd_close(&worker->dirty_log_fd);
		worker->dirty_log_fd = start ? fd_steal(&message->fds[0]) : -1;
	}
	answer(worker, message, NULL, &failure);
	return 0;
}

static int on_stats(void *owner, struct channel_message *message, struct error *err)
{
	struct worker *worker = owner;
	Bulkhead__Worker__Stats body = BULKHEAD__WORKER__STATS__INIT;
	struct worker_counter counters[WORKER_MAX_COUNTERS];
	Bulkhead__Worker__Counter entries[WORKER_MAX_COUNTERS], *pointers[WORKER_MAX_COUNTERS];
	char names[WORKER_MAX_COUNTERS][32];
	struct error none = ERROR_INIT;
	unsigned count = 0;

	(void)err;
	if (worker->ops->counters)
		count = worker->ops->counters(worker, counters, WORKER_MAX_COUNTERS);
	for (unsigned i = 0; i < count; i++) {
		bulkhead__worker__counter__init(&entries[i]);
		(void)snprintf(names[i], sizeof(names[i]), "%s", counters[i].name);
		entries[i].name = names[i];
		entries[i].value = counters[i].value;
		pointers[i] = &entries[i];
	}
	body.n_counters = count;
	body.counters = pointers;
	answer(worker, message, &body.base, &none);
	return 0;
}

#define LIVE (IN(CONFIGURED) | IN(RUNNING) | IN(QUIESCED))

#define REQUEST(type_, name_, body_, fds_, states_, handler_)                                      \
	{                                                                                          \
		.type = MESSAGE(type_), .kind = FRAME_REQUEST, .name = name_,                      \
		.descriptor = &bulkhead__worker__##body_##__descriptor, .max_fds = (fds_),         \
		.legal_states = (states_), .handler = handler_                                     \
	}

const struct channel_row worker_rows[] = {
	REQUEST(CONFIGURE, "configure", configure, CHANNEL_MAX_FDS, IN(STARTING), on_configure),
	REQUEST(ACTIVATE, "activate", activate, CHANNEL_MAX_FDS, IN(CONFIGURED) | IN(QUIESCED),
		on_activate),
	REQUEST(RESET, "reset", drain, 0, LIVE, on_drain),
	REQUEST(QUIESCE, "quiesce", drain, 0, LIVE, on_drain),
	REQUEST(SAVE_STATE, "save-state", empty, 0, IN(QUIESCED), on_save_state),
	REQUEST(RESUME, "resume", empty, 0, LIVE, on_resume),
	REQUEST(UPDATE, "update", update, CHANNEL_MAX_FDS, LIVE, on_update),
	REQUEST(DIRTY_LOG, "dirty-log", dirty_log, 1, LIVE, on_dirty_log),
	REQUEST(STATS, "stats", empty, 0, LIVE, on_stats),
	REQUEST(SHUTDOWN, "shutdown", drain, 0, LIVE | IN(STARTING) | IN(STOPPED), on_drain),
};

const size_t worker_row_count = sizeof(worker_rows) / sizeof(worker_rows[0]);
