/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of proto/worker.proto, one function each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devworkers/common/state_file.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/common/worker_driver.h"

#define MESSAGE(name)  BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name
#define MAX_PASSED_FDS 48

static void pack(const ProtobufCMessage *message, ProtobufCBinaryData *packed)
{
	packed->data = NULL;
	packed->len = message ? protobuf_c_message_get_packed_size(message) : 0;
	if (packed->len == 0)
		return;
	packed->data = malloc(packed->len);
	if (!packed->data)
		abort();
	(void)protobuf_c_message_pack(message, packed->data);
}

static int take_configured(struct worker_driver *driver, ProtobufCMessage *message,
			   struct error *err)
{
	const Bulkhead__Worker__Configured *configured = (const void *)message;
	int ret = 0;

	if (configured->config_space.len > sizeof(driver->config_space) ||
	    configured->n_queue_sizes > 16) {
		ret = error_set(err, -EPROTO, "configured does not fit");
	} else {
		driver->features = configured->features;
		driver->config_space_bytes = configured->config_space.len;
		if (configured->config_space.len > 0)
			memcpy(driver->config_space, configured->config_space.data,
			       configured->config_space.len);
		driver->queue_count = (unsigned)configured->n_queue_sizes;
		for (unsigned i = 0; i < driver->queue_count; i++)
			driver->queue_sizes[i] = configured->queue_sizes[i];
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return ret;
}

int worker_driver_configure_saved(struct worker_driver *driver, const ProtobufCMessage *config,
				  const int *fds, unsigned fd_count, const uint8_t *state,
				  size_t state_bytes, struct error *err)
{
	Bulkhead__Worker__Configure request;
	char device_id[] = "test";
	int passed[MAX_PASSED_FDS];
	cleanup_fd int state_fd = -1;
	cleanup_free uint8_t *copy = malloc(state_bytes + 1);
	ProtobufCMessage *reply = NULL;
	int ret;

	if (!copy || fd_count >= MAX_PASSED_FDS)
		abort();
	if (fd_count > 0)
		memcpy(passed, fds, fd_count * sizeof(int));
	bulkhead__worker__configure__init(&request);
	request.device_id = device_id;
	pack(config, &request.device);
	if (state_bytes > CHANNEL_MAX_PAYLOAD / 2) {
		state_fd = state_file_create(state, state_bytes, err);
		request.saved_state_by_fd = true;
		passed[fd_count++] = state_fd;
	} else if (state_bytes > 0) {
		memcpy(copy, state, state_bytes);
		request.saved_state.data = copy;
		request.saved_state.len = state_bytes;
	}
	ret = worker_driver_call(driver, MESSAGE(CONFIGURE), &request.base, passed, fd_count,
				 &reply, NULL, err);
	free(request.device.data);
	return ret < 0 ? ret : take_configured(driver, reply, err);
}

int worker_driver_configure(struct worker_driver *driver, const ProtobufCMessage *config,
			    const int *fds, unsigned fd_count, struct error *err)
{
	return worker_driver_configure_saved(driver, config, fds, fd_count, NULL, 0, err);
}

int worker_driver_activate(struct worker_driver *driver,
			   const struct worker_driver_activation *activation, int *userfaultfd,
			   struct error *err)
{
	Bulkhead__Worker__Activate request = BULKHEAD__WORKER__ACTIVATE__INIT;
	Bulkhead__Worker__MemoryRegion region = BULKHEAD__WORKER__MEMORY_REGION__INIT;
	Bulkhead__Worker__MemoryRegion *regions[] = {&region};
	Bulkhead__Worker__Queue queues[16], *pointers[16];
	const Bulkhead__Worker__Activated *activated;
	ProtobufCMessage *reply = NULL;
	int fds[MAX_PASSED_FDS];
	unsigned fd_count = 0;
	int ret;

	region.guest_physical_address = activation->ram->gpa;
	region.size_bytes = activation->ram->size_bytes;
	fds[fd_count++] = activation->ram->fd;
	for (unsigned i = 0; i < activation->ring_count; i++) {
		const struct ring_driver *ring = activation->rings[i];

		bulkhead__worker__queue__init(&queues[i]);
		queues[i].index = ring->index;
		queues[i].size = ring->size;
		queues[i].descriptor_area = ring->descriptor_area;
		queues[i].driver_area = ring->driver_area;
		queues[i].device_area = ring->device_area;
		queues[i].restored = activation->restored;
		pointers[i] = &queues[i];
		fds[fd_count++] = ring->kick_fd;
		fds[fd_count++] = ring->call_fd;
	}
	request.features = activation->features ? activation->features : driver->features;
	request.memory = regions;
	request.n_memory = 1;
	request.queues = pointers;
	request.n_queues = activation->ring_count;
	request.quiesced = activation->quiesced;
	if (activation->inflight_fd > 0) {
		request.has_inflight_log = true;
		fds[fd_count++] = activation->inflight_fd;
	}
	if (activation->userfaultfd_device_fd > 0) {
		request.memory_on_demand = true;
		fds[fd_count++] = activation->userfaultfd_device_fd;
	}
	ret = worker_driver_call(driver, MESSAGE(ACTIVATE), &request.base, fds, fd_count, &reply,
				 userfaultfd, err);
	if (ret < 0)
		return ret;
	activated = (const void *)reply;
	driver->region_address =
		activated->n_region_addresses == 1 ? activated->region_addresses[0] : 0;
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

int worker_driver_activate_simple(struct worker_driver *driver, const struct guest_ram *ram,
				  struct ring_driver *const *rings, unsigned ring_count,
				  struct error *err)
{
	const struct worker_driver_activation activation = {
		.ram = ram,
		.rings = rings,
		.ring_count = ring_count,
	};

	return worker_driver_activate(driver, &activation, NULL, err);
}

static int call_drain(struct worker_driver *driver, Bulkhead__Worker__MessageType type,
		      unsigned timeout_ms, struct error *err)
{
	Bulkhead__Worker__Drain request = BULKHEAD__WORKER__DRAIN__INIT;

	request.timeout_ms = timeout_ms;
	return worker_driver_call(driver, type, &request.base, NULL, 0, NULL, NULL, err);
}

int worker_driver_reset(struct worker_driver *driver, unsigned timeout_ms, struct error *err)
{
	return call_drain(driver, MESSAGE(RESET), timeout_ms, err);
}

int worker_driver_quiesce(struct worker_driver *driver, unsigned timeout_ms, struct error *err)
{
	return call_drain(driver, MESSAGE(QUIESCE), timeout_ms, err);
}

int worker_driver_resume(struct worker_driver *driver, struct error *err)
{
	return worker_driver_call(driver, MESSAGE(RESUME), NULL, NULL, 0, NULL, NULL, err);
}

int worker_driver_update(struct worker_driver *driver, const ProtobufCMessage *update,
			 const int *fds, unsigned fd_count, struct error *err)
{
	Bulkhead__Worker__Update request = BULKHEAD__WORKER__UPDATE__INIT;
	int ret;

	pack(update, &request.device);
	ret = worker_driver_call(driver, MESSAGE(UPDATE), &request.base, fds, fd_count, NULL, NULL,
				 err);
	free(request.device.data);
	return ret;
}

int worker_driver_save_state(struct worker_driver *driver, uint8_t **state, size_t *state_bytes,
			     struct error *err)
{
	ProtobufCMessage *message = NULL;
	cleanup_fd int fd = -1;
	Bulkhead__Worker__StateReply *reply;
	int ret =
		worker_driver_call(driver, MESSAGE(SAVE_STATE), NULL, NULL, 0, &message, &fd, err);

	if (ret < 0)
		return ret;
	reply = (void *)message;
	if (fd >= 0) {
		ret = state_file_read(fd, state, state_bytes, err);
	} else {
		*state = reply->state.data;
		*state_bytes = reply->state.len;
		reply->state.data = NULL;
		reply->state.len = 0;
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return ret;
}

int worker_driver_dirty_log(struct worker_driver *driver, int fd, struct error *err)
{
	Bulkhead__Worker__DirtyLog request = BULKHEAD__WORKER__DIRTY_LOG__INIT;

	request.action = fd >= 0 ? BULKHEAD__WORKER__DIRTY_LOG_ACTION__DIRTY_LOG_START
				 : BULKHEAD__WORKER__DIRTY_LOG_ACTION__DIRTY_LOG_STOP;
	return worker_driver_call(driver, MESSAGE(DIRTY_LOG), &request.base, &fd, fd >= 0, NULL,
				  NULL, err);
}

int worker_driver_counter(struct worker_driver *driver, const char *name, uint64_t *value,
			  struct error *err)
{
	ProtobufCMessage *message = NULL;
	const Bulkhead__Worker__Stats *stats;
	int ret = worker_driver_call(driver, MESSAGE(STATS), NULL, NULL, 0, &message, NULL, err);

	if (ret < 0)
		return ret;
	stats = (const void *)message;
	ret = -ENOENT;
	for (size_t i = 0; i < stats->n_counters; i++) {
		if (strcmp(stats->counters[i]->name, name) != 0)
			continue;
		*value = stats->counters[i]->value;
		ret = 0;
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return ret < 0 ? error_set(err, ret, "no counter \"%s\"", name) : 0;
}
