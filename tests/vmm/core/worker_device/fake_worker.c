/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/worker_device/fake_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/cleanup.h"
#include "ipc/packet.h"

/* ---- the broker ---- */

int broker_spawn(struct broker_client *client, const char *kind, const char *device_id, int core_fd,
		 broker_spawned_fn callback, void *opaque, struct error *err)
{
	(void)kind;
	if (client->refuse)
		return error_set_errno(err, client->refuse, "spawn %s", device_id);
	client->worker_fd = fcntl(core_fd, F_DUPFD_CLOEXEC, 3);
	client->spawned = callback;
	client->spawn_opaque = opaque;
	return 0;
}

void broker_spawn_forget(struct broker_client *client, const void *opaque)
{
	if (client->spawn_opaque == opaque)
		client->spawned = NULL;
}

int broker_kill(struct broker_client *client, int32_t pid, struct error *err)
{
	(void)err;
	client->kills++;
	client->killed_pid = pid;
	return 0;
}

/* ---- the transport ---- */

struct virtio_pci *virtio_pci_new(const struct virtio_pci_options *options, struct kvm_vm *vm,
				  struct pci_bus *bus, int device,
				  const struct virtio_backend_ops *ops, void *opaque,
				  struct error *err)
{
	struct virtio_pci *virtio = calloc(1, sizeof(*virtio));

	(void)vm;
	(void)bus;
	(void)device;
	(void)err;
	assert_non_null(virtio);
	assert_int_equal(options->queue_count, FAKE_QUEUES);
	virtio->ops = ops;
	virtio->opaque = opaque;
	return virtio;
}

void virtio_pci_destroy(struct virtio_pci *virtio)
{
	free(virtio);
}

void virtio_pci_reset_done(struct virtio_pci *virtio)
{
	virtio->resets_done++;
}

void virtio_pci_set_needs_reset(struct virtio_pci *virtio)
{
	virtio->needs_resets++;
}

void virtio_pci_set_config_space(struct virtio_pci *virtio, const uint8_t *bytes,
				 size_t length_bytes)
{
	(void)bytes;
	virtio->config_changes++;
	virtio->config_bytes = length_bytes;
}

bool virtio_pci_get_activation(struct virtio_pci *virtio, struct virtio_activation *activation)
{
	*activation = virtio->activation;
	return activation->queue_count > 0;
}

struct virtio_pci *fixture_transport(const struct fixture *fixture)
{
	return worker_device_transport(fixture->device);
}

static struct virtio_activation make_activation(void)
{
	/* Any descriptor will do: nobody writes to it. */
	struct virtio_activation activation = {.features = FAKE_FEATURES, .queue_count = 1};

	activation.queues[0] = (struct virtio_queue_setup){
		.size = 8, .kick_fd = STDIN_FILENO, .call_fd = STDIN_FILENO};
	return activation;
}

void fixture_driver_activates(struct fixture *fixture)
{
	struct virtio_pci *transport = fixture_transport(fixture);
	struct virtio_activation activation = make_activation();

	transport->ops->activate(transport->opaque, &activation);
}

void fixture_driver_resets(struct fixture *fixture)
{
	struct virtio_pci *transport = fixture_transport(fixture);

	transport->ops->reset(transport->opaque);
}

/* ---- what the device reports ---- */

static void on_ready(void *opaque, struct worker_device *device, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->ready++;
	fixture->ready_error = err ? *err : (struct error)ERROR_INIT;
}

static void on_failed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->failed++;
	fixture->failed_error = *err;
}

static void on_changed(void *opaque, struct worker_device *device)
{
	(void)device;
	((struct fixture *)opaque)->changed++;
}

static const struct worker_device_events events = {
	.ready = on_ready, .failed = on_failed, .changed = on_changed};

static void note_done(struct fixture *fixture, const struct error *err)
{
	void (*then)(struct fixture *) = fixture->in_done;

	fixture->done++;
	fixture->done_error = err ? *err : (struct error)ERROR_INIT;
	fixture->in_done = NULL;
	if (then)
		then(fixture);
}

void fixture_on_done(void *opaque, struct worker_device *device, const struct error *err)
{
	(void)device;
	note_done(opaque, err);
}

void fixture_on_state(void *opaque, struct worker_device *device, const uint8_t *state,
		      size_t state_bytes, const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->state_bytes = err ? 0 : state_bytes;
	if (!err && state_bytes && state_bytes <= sizeof(fixture->state))
		memcpy(fixture->state, state, state_bytes);
	note_done(fixture, err);
}

void fixture_on_counters(void *opaque, struct worker_device *device,
			 const struct worker_device_counter *counters, size_t count,
			 const struct error *err)
{
	struct fixture *fixture = opaque;

	(void)device;
	fixture->counter_count = err ? 0 : count;
	memcpy(fixture->counters, counters, fixture->counter_count * sizeof(*counters));
	note_done(fixture, err);
}

static void on_gone(void *opaque)
{
	((struct fixture *)opaque)->gone++;
}

/* ---- fixture ---- */

static void on_deadline(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

static bool run_until(struct fixture *fixture, const unsigned *count, unsigned least,
		      unsigned timeout_ms)
{
	bool expired = false, closed = false;
	uv_timer_t timer;

	uv_timer_init(&fixture->loop, &timer);
	timer.data = &expired;
	uv_timer_start(&timer, on_deadline, timeout_ms, 0);
	while (!expired && !(count && *count >= least))
		uv_run(&fixture->loop, UV_RUN_ONCE);
	timer.data = &closed;
	uv_close((uv_handle_t *)&timer, on_timer_closed);
	while (!closed)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	return count && *count >= least;
}

void fixture_run(struct fixture *fixture, unsigned milliseconds)
{
	(void)run_until(fixture, NULL, 0, milliseconds);
}

void fixture_wait(struct fixture *fixture, const unsigned *count, unsigned least)
{
	if (!run_until(fixture, count, least, FAKE_WAIT_MS))
		fail_msg("%u of %u came in time", *count, least);
}

static struct guest_memory *make_memory(void)
{
	struct guest_memory *memory = calloc(1, sizeof(*memory));
	int fd = memfd_create("guest-memory", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_non_null(memory);
	assert_int_equal(ftruncate(fd, FAKE_MEMORY_BYTES), 0);
	assert_int_equal(guest_memory_add_region(memory, 0, FAKE_MEMORY_BYTES, fd, 0, &err), 0);
	return memory;
}

int fixture_setup(void **state)
{
	struct worker_device_options options = {
		.id = "root", .kind = "blk", .virtio_device_id = 2, .class_code = 0x010000};
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = ERROR_INIT;

	if (!fixture || uv_loop_init(&fixture->loop) < 0 ||
	    task_queue_init(&fixture->tasks, &fixture->loop) < 0)
		return -1;
	fixture->tasks_open = true;
	fixture->broker.worker_fd = -1;
	fixture->memory = make_memory();
	fixture->context = (struct worker_device_context){
		.loop = &fixture->loop,
		.tasks = &fixture->tasks,
		.broker = &fixture->broker,
		.memory = fixture->memory,
		.log_fd = -1,
		.userfaultfd_device = -1,
		.events = &events,
		.opaque = fixture,
	};
	fixture->device = worker_device_new(&options, &fixture->context, &err);
	*state = fixture;
	return fixture->device ? 0 : -1;
}

void fixture_destroy_device(struct fixture *fixture)
{
	worker_device_destroy(fixture->device, on_gone, fixture);
	fixture->device = NULL;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->device)
		fixture_destroy_device(fixture);
	fixture_wait(fixture, &fixture->gone, 1);
	/* Nothing that was posted may be left for a device that is gone. */
	assert_null(fixture->tasks.first);
	uv_close((uv_handle_t *)&fixture->tasks.async, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	fd_close(&fixture->broker.worker_fd);
	guest_memory_destroy(fixture->memory);
	free(fixture->memory);
	free(fixture);
	return 0;
}

void fixture_spawned(struct fixture *fixture)
{
	broker_spawned_fn spawned = fixture->broker.spawned;

	fixture->broker.spawned = NULL;
	assert_non_null(spawned);
	spawned(fixture->broker.spawn_opaque, FAKE_PID, 1234, NULL);
}

void fixture_make_ready(struct fixture *fixture)
{
	Bulkhead__Worker__Configured configured = BULKHEAD__WORKER__CONFIGURED__INIT;
	uint32_t sizes[FAKE_QUEUES] = {8, 16};
	struct error err = ERROR_INIT;
	struct request request;

	fixture_spawned(fixture);
	worker_receive(fixture, MESSAGE(CONFIGURE), &request);
	configured.features = FAKE_FEATURES;
	configured.queue_sizes = sizes;
	configured.n_queue_sizes = FAKE_QUEUES;
	worker_send_message(fixture, FRAME_REPLY, MESSAGE(CONFIGURE), request.header.id,
			    &configured.base);
	request_free(&request);
	fixture_wait(fixture, &fixture->ready, 1);
	assert_int_equal(fixture->ready_error.code, 0);
	assert_int_equal(worker_device_plug(fixture->device, NULL, NULL, -1, &err), 0);
}

void fixture_make_active(struct fixture *fixture)
{
	unsigned changed;

	fixture_make_ready(fixture);
	changed = fixture->changed;
	fixture_driver_activates(fixture);
	worker_agree(fixture, MESSAGE(ACTIVATE));
	fixture_wait(fixture, &fixture->changed, changed + 1);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_ACTIVE);
}

/* ---- the worker's end ---- */

void worker_receive(struct fixture *fixture, uint16_t type, struct request *request)
{
	uint8_t buffer[FRAME_MAX_BYTES];
	struct error err = ERROR_INIT;
	struct packet packet;
	int result = -EAGAIN;

	for (unsigned waited = 0; result == -EAGAIN && waited < FAKE_WAIT_MS; waited += 2) {
		fixture_run(fixture, 2);
		result = packet_receive(fixture->broker.worker_fd, buffer, sizeof(buffer), &packet,
					&err);
	}
	if (result != 1)
		fail_msg("no request %u: %s", type, err.message);
	memcpy(&request->header, buffer, sizeof(request->header));
	memcpy(request->payload, buffer + sizeof(request->header),
	       packet.bytes - sizeof(request->header));
	memcpy(request->fds, packet.fds, sizeof(packet.fds[0]) * packet.fd_count);
	request->fd_count = packet.fd_count;
	assert_int_equal(request->header.kind, FRAME_REQUEST);
	assert_int_equal(request->header.type, type);
}

void request_free(struct request *request)
{
	for (unsigned i = 0; i < request->fd_count; i++)
		fd_close(&request->fds[i]);
}

void worker_agree(struct fixture *fixture, uint16_t type)
{
	struct request request;

	worker_receive(fixture, type, &request);
	worker_send(fixture, FRAME_REPLY, type, request.header.id, 0, NULL, 0, NULL, 0);
	request_free(&request);
}

void worker_send(struct fixture *fixture, enum frame_kind kind, uint16_t type, uint32_t id,
		 int32_t error_code, const void *payload, size_t bytes, const int *fds,
		 unsigned fd_count)
{
	uint8_t buffer[FRAME_MAX_BYTES];
	struct frame_header header;

	frame_header_init(&header, kind, type, id, error_code, bytes, fd_count);
	memcpy(buffer, &header, sizeof(header));
	if (bytes)
		memcpy(buffer + sizeof(header), payload, bytes);
	assert_int_equal(packet_send(fixture->broker.worker_fd, buffer, sizeof(header) + bytes, fds,
				     fd_count),
			 0);
}

void worker_send_message(struct fixture *fixture, enum frame_kind kind, uint16_t type, uint32_t id,
			 const ProtobufCMessage *message)
{
	uint8_t payload[FRAME_MAX_PAYLOAD];

	assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(payload));
	worker_send(fixture, kind, type, id, 0, payload, protobuf_c_message_pack(message, payload),
		    NULL, 0);
}

void worker_send_raw(struct fixture *fixture, const void *bytes, size_t length_bytes)
{
	assert_int_equal(send(fixture->broker.worker_fd, bytes, length_bytes, MSG_NOSIGNAL),
			 (ssize_t)length_bytes);
}

void worker_die(struct fixture *fixture)
{
	fd_close(&fixture->broker.worker_fd);
}
