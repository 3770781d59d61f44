/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of a worker, and what it accepts from one. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devworkers/common/guest_memory.h"
#include "devworkers/common/inflight_log.h"
#include "devworkers/common/state_file.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/workers/worker_device_parts.h"

#define MAX_STATE_IN_PACKET (48U * 1024)

static int on_config_changed(void *owner, struct channel_message *message, struct error *err)
{
	struct worker_device *device = owner;
	const Bulkhead__Worker__ConfigChanged *event =
		(const Bulkhead__Worker__ConfigChanged *)message->body;

	if (event->config_space.len > VIRTIO_PCI_MAX_CONFIG_SPACE)
		return error_set(err, -EPROTO, "config space of %zu bytes",
				 event->config_space.len);
	if (device->transport)
		virtio_pci_set_config_space(device->transport, event->config_space.data,
					    event->config_space.len);
	return 0;
}

static int on_needs_reset(void *owner, struct channel_message *message, struct error *err)
{
	struct worker_device *device = owner;
	const Bulkhead__Worker__NeedsReset *event =
		(const Bulkhead__Worker__NeedsReset *)message->body;

	(void)err;
	/* As often as the worker likes; the log may be slow, and the loop waits for it. */
	if (log_ratelimit_allow(&device->needs_reset_log, NULL))
		log_warning("device \"%s\": needs a reset by its driver: %.200s", device->id,
			    event->reason);
	if (device->transport)
		virtio_pci_set_needs_reset(device->transport);
	return 0;
}

#define REPLY(message_type, text, body_descriptor)                                                 \
	{                                                                                          \
		.type = BULKHEAD__WORKER__MESSAGE_TYPE__##message_type, .kind = FRAME_REPLY,       \
		.name = (text), .descriptor = (body_descriptor)                                    \
	}

const struct channel_row worker_device_rows[] = {
	REPLY(MESSAGE_CONFIGURE, "configure", &bulkhead__worker__configured__descriptor),
	{
		.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_ACTIVATE,
		.kind = FRAME_REPLY,
		.name = "activate",
		.descriptor = &bulkhead__worker__activated__descriptor,
		.max_fds = 1, /* the userfaultfd of memory served on demand */
	},
	REPLY(MESSAGE_RESET, "reset", &bulkhead__worker__empty__descriptor),
	REPLY(MESSAGE_QUIESCE, "quiesce", &bulkhead__worker__empty__descriptor),
	{
		.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_SAVE_STATE,
		.kind = FRAME_REPLY,
		.name = "save-state",
		.descriptor = &bulkhead__worker__state_reply__descriptor,
		.max_fds = 1, /* a sealed memfd when the state is larger than a packet */
	},
	REPLY(MESSAGE_RESUME, "resume", &bulkhead__worker__empty__descriptor),
	REPLY(MESSAGE_UPDATE, "update", &bulkhead__worker__empty__descriptor),
	REPLY(MESSAGE_DIRTY_LOG, "dirty-log", &bulkhead__worker__empty__descriptor),
	REPLY(MESSAGE_STATS, "stats", &bulkhead__worker__stats__descriptor),
	REPLY(MESSAGE_SHUTDOWN, "shutdown", &bulkhead__worker__empty__descriptor),
	{
		.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_CONFIG_CHANGED,
		.kind = FRAME_EVENT,
		.name = "config-changed",
		.descriptor = &bulkhead__worker__config_changed__descriptor,
		.max_payload_bytes = 2 * VIRTIO_PCI_MAX_CONFIG_SPACE,
		.handler = on_config_changed,
	},
	{
		.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET,
		.kind = FRAME_EVENT,
		.name = "needs-reset",
		.descriptor = &bulkhead__worker__needs_reset__descriptor,
		.max_payload_bytes = 1024,
		.handler = on_needs_reset,
	},
};
const size_t worker_device_row_count = sizeof(worker_device_rows) / sizeof(*worker_device_rows);

/* Send a request and keep the poll events in step. */
static int worker_request_send(struct worker_device *device, uint16_t type,
			       const ProtobufCMessage *body, const int *fds, unsigned fd_count,
			       uint32_t timeout_ms, channel_reply_fn reply, void *opaque,
			       struct error *err)
{
	int result;

	if (!device->channel)
		return error_set(err, -ENOTCONN, "device \"%s\" has no worker", device->id);
	result = channel_request(device->channel, type, body, fds, fd_count, timeout_ms, reply,
				 opaque, err);
	channel_watch_update(&device->watch);
	return result;
}

int worker_request_simple(struct worker_device *device, uint16_t type, uint32_t timeout_ms,
			  channel_reply_fn reply, void *opaque, struct error *err)
{
	Bulkhead__Worker__Empty empty = BULKHEAD__WORKER__EMPTY__INIT;

	return worker_request_send(device, type, &empty.base, NULL, 0, timeout_ms, reply, opaque,
				   err);
}

/* RESET, QUIESCE and SHUTDOWN: the worker answers by itself, with an error, a little before we give
 * it up. */
int worker_request_drain(struct worker_device *device, uint16_t type, uint32_t timeout_ms,
			 channel_reply_fn reply, struct error *err)
{
	Bulkhead__Worker__Drain drain = BULKHEAD__WORKER__DRAIN__INIT;

	drain.timeout_ms = timeout_ms - timeout_ms / 10;
	return worker_request_send(device, type, &drain.base, NULL, 0, timeout_ms, reply, device,
				   err);
}

static void on_configure_reply(void *opaque, struct channel_message *message,
			       const struct error *err)
{
	struct worker_device *device = opaque;

	worker_device_on_configured(
		device, message ? (Bulkhead__Worker__Configured *)(uintptr_t)message->body : NULL,
		err);
}

int worker_request_configure(struct worker_device *device, struct error *err)
{
	Bulkhead__Worker__Configure request = BULKHEAD__WORKER__CONFIGURE__INIT;
	int fds[WORKER_DEVICE_MAX_FDS + 1];
	unsigned fd_count = device->fd_count;
	cleanup_fd int state_fd = -1;

	request.device_id = device->id;
	request.device.data = device->config;
	request.device.len = device->config_bytes;
	memcpy(fds, device->fds, device->fd_count * sizeof(fds[0]));
	if (device->saved_state_bytes > MAX_STATE_IN_PACKET) {
		state_fd = state_file_create(device->saved_state, device->saved_state_bytes, err);
		if (state_fd < 0)
			return state_fd;
		request.saved_state_by_fd = true;
		fds[fd_count++] = state_fd;
	} else {
		request.saved_state.data = device->saved_state;
		request.saved_state.len = device->saved_state_bytes;
	}
	return worker_request_send(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_CONFIGURE,
				   &request.base, fds, fd_count, WORKER_CONFIGURE_TIMEOUT_MS,
				   on_configure_reply, device, err);
}

/* The in-flight log lives in the core's memfd, so that it outlives the worker. */
static int worker_open_inflight_log(struct worker_device *device, struct error *err)
{
	unsigned queue_count = (unsigned)device->configured->n_queue_sizes;
	unsigned queue_size = 0;
	cleanup_fd int fd = -1;

	if (device->inflight_fd >= 0)
		return 0;
	for (unsigned i = 0; i < queue_count; i++)
		if (device->configured->queue_sizes[i] > queue_size)
			queue_size = device->configured->queue_sizes[i];
	fd = memfd_create("in-flight-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)inflight_log_bytes(queue_count, queue_size)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set_errno(err, -errno, "device \"%s\": cannot make its in-flight log",
				       device->id);
	device->inflight_fd = fd_steal(&fd);
	return 0;
}

struct activate_message {
	Bulkhead__Worker__Activate body;
	Bulkhead__Worker__MemoryRegion regions[GUEST_MEMORY_MAX_REGIONS];
	Bulkhead__Worker__MemoryRegion *region_pointers[GUEST_MEMORY_MAX_REGIONS];
	Bulkhead__Worker__Queue queues[VIRTIO_PCI_MAX_QUEUES];
	Bulkhead__Worker__Queue *queue_pointers[VIRTIO_PCI_MAX_QUEUES];
	int fds[CHANNEL_MAX_FDS];
	unsigned fd_count;
};

static void activate_add_memory(struct activate_message *message, const struct guest_memory *memory)
{
	for (unsigned i = 0; i < memory->region_count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];

		bulkhead__worker__memory_region__init(&message->regions[i]);
		message->regions[i].guest_physical_address = region->gpa;
		message->regions[i].size_bytes = region->size_bytes;
		message->regions[i].file_offset = region->file_offset;
		message->region_pointers[i] = &message->regions[i];
		message->fds[message->fd_count++] = region->fd;
	}
	message->body.memory = message->region_pointers;
	message->body.n_memory = memory->region_count;
}

static void activate_add_queues(struct activate_message *message,
				const struct virtio_activation *activation, bool restored)
{
	for (unsigned i = 0; i < activation->queue_count; i++) {
		const struct virtio_queue_setup *setup = &activation->queues[i];
		Bulkhead__Worker__Queue *queue = &message->queues[i];

		bulkhead__worker__queue__init(queue);
		queue->index = setup->index;
		queue->size = setup->size;
		queue->descriptor_area = setup->descriptor_area;
		queue->driver_area = setup->driver_area;
		queue->device_area = setup->device_area;
		queue->restored = restored;
		message->queue_pointers[i] = queue;
		message->fds[message->fd_count++] = setup->kick_fd;
		message->fds[message->fd_count++] = setup->call_fd;
	}
	message->body.queues = message->queue_pointers;
	message->body.n_queues = activation->queue_count;
}

/* A worker whose mappings are not served would read zeros where the guest had data. */
static int worker_take_on_demand(struct worker_device *device, struct channel_message *message,
				 struct error *err)
{
	const Bulkhead__Worker__Activated *activated =
		(const Bulkhead__Worker__Activated *)message->body;

	if (!device->activated_on_demand)
		return message->fd_count == 0
			       ? 0
			       : error_set(err, -EPROTO,
					   "sent a descriptor that was not asked for");
	if (message->fd_count != 1 ||
	    activated->n_region_addresses != device->context->memory->region_count)
		return error_set(err, -EPROTO, "did not register its memory on demand");
	if (!device->context->events->on_demand)
		return error_set(err, -EOPNOTSUPP, "nobody serves its memory on demand");
	return device->context->events->on_demand(
		device->context->opaque, device, fd_steal(&message->fds[0]),
		activated->region_addresses, activated->n_region_addresses, err);
}

void worker_was_given_up(const struct worker_device *device, struct error *err)
{
	error_set(err, -ECONNRESET, "worker %s \"%s\": was given up", device->kind, device->id);
}

static void on_activate_reply(void *opaque, struct channel_message *message,
			      const struct error *err)
{
	struct worker_device *device = opaque;
	channel_reply_fn activated = device->activated;
	struct error failure = ERROR_INIT;

	device->activated = NULL;
	if (message && device->state == WORKER_DEVICE_FAILED) {
		worker_was_given_up(device, &failure);
		activated(device, NULL, &failure);
		return;
	}
	if (message && worker_take_on_demand(device, message, &failure) < 0) {
		error_prefix(&failure, "worker %s \"%s\"", device->kind, device->id);
		worker_device_fail(device, &failure);
		activated(device, NULL, &failure);
		return;
	}
	activated(device, message, err);
}

int worker_request_activate(struct worker_device *device,
			    const struct virtio_activation *activation, bool restored,
			    channel_reply_fn reply, struct error *err)
{
	struct activate_message message = {.fd_count = 0};

	if (worker_open_inflight_log(device, err) < 0)
		return err->code;
	bulkhead__worker__activate__init(&message.body);
	message.body.features = activation->features;
	activate_add_memory(&message, device->context->memory);
	activate_add_queues(&message, activation, restored);
	message.body.has_inflight_log = true;
	message.fds[message.fd_count++] = device->inflight_fd;
	/* A restored device waits for RESUME: a paused VM's devices do nothing. */
	message.body.quiesced = restored;
	device->activated = reply;
	device->activated_on_demand = device->context->userfaultfd_device >= 0;
	if (device->activated_on_demand) {
		message.body.memory_on_demand = true;
		message.fds[message.fd_count++] = device->context->userfaultfd_device;
	}
	return worker_request_send(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_ACTIVATE,
				   &message.body.base, message.fds, message.fd_count,
				   WORKER_ACTIVATE_TIMEOUT_MS, on_activate_reply, device, err);
}

int worker_require_configured(const struct worker_device *device, struct error *err)
{
	if (device->state == WORKER_DEVICE_STARTING)
		return error_set(err, -EAGAIN, "device \"%s\" is still starting", device->id);
	if (device->state == WORKER_DEVICE_FAILED)
		return error_set(err, -ENOTCONN, "device \"%s\" has lost its worker", device->id);
	return 0;
}

static int worker_begin_request(struct worker_device *device, worker_device_done_fn done,
				void *opaque, struct error *err)
{
	if (worker_require_configured(device, err) < 0)
		return err->code;
	if (device->request_open)
		return error_set(err, -EBUSY, "device \"%s\" is busy with another request",
				 device->id);
	device->request_open = true;
	device->done = done;
	device->done_opaque = opaque;
	return 0;
}

static void worker_end_request(struct worker_device *device)
{
	device->request_open = false;
	device->done = NULL;
}

static void on_quiesce_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct worker_device *device = opaque;

	if (message && device->state == WORKER_DEVICE_ACTIVE)
		device->state = WORKER_DEVICE_QUIESCED;
	worker_device_finish_request(device, message ? NULL : err);
}

int worker_device_quiesce(struct worker_device *device, uint32_t timeout_ms,
			  worker_device_done_fn done, void *opaque, struct error *err)
{
	if (worker_begin_request(device, done, opaque, err) < 0)
		return err->code;
	if (worker_request_drain(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE,
				 timeout_ms, on_quiesce_reply, err) < 0) {
		worker_end_request(device);
		return err->code;
	}
	return 0;
}

static void on_resume_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct worker_device *device = opaque;

	if (message && device->state == WORKER_DEVICE_QUIESCED)
		device->state = WORKER_DEVICE_ACTIVE;
	worker_device_finish_request(device, message ? NULL : err);
}

int worker_device_resume(struct worker_device *device, uint32_t timeout_ms,
			 worker_device_done_fn done, void *opaque, struct error *err)
{
	if (worker_begin_request(device, done, opaque, err) < 0)
		return err->code;
	if (worker_request_simple(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_RESUME,
				  timeout_ms, on_resume_reply, device, err) < 0) {
		worker_end_request(device);
		return err->code;
	}
	return 0;
}

static void on_update_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	worker_device_finish_request(opaque, message ? NULL : err);
}

int worker_device_update(struct worker_device *device, const uint8_t *update, size_t update_bytes,
			 const int *fds, unsigned fd_count, worker_device_done_fn done,
			 void *opaque, struct error *err)
{
	Bulkhead__Worker__Update request = BULKHEAD__WORKER__UPDATE__INIT;

	if (worker_begin_request(device, done, opaque, err) < 0)
		return err->code;
	device->done_always = true;
	request.device.data = (uint8_t *)(uintptr_t)update;
	request.device.len = update_bytes;
	if (worker_request_send(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_UPDATE,
				&request.base, fds, fd_count, WORKER_UPDATE_TIMEOUT_MS,
				on_update_reply, device, err) < 0) {
		worker_end_request(device);
		return err->code;
	}
	return 0;
}
