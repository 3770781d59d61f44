/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker device with everything around it faked: a broker that starts no process, a transport
 * that only counts, and a worker whose socket the test holds and writes to what it likes. The fakes
 * are linked instead of the core's own (broker_client.o, virtio_pci.o).
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_WORKER_DEVICE_FAKE_WORKER_H
#define BULKHEAD_TESTS_VMM_CORE_WORKER_DEVICE_FAKE_WORKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uv.h>

#include "ipc/frame.h"
#include "proto/worker.pb-c.h"
#include "vmm/core/workers/worker_device.h"

#define MESSAGE(name)	  BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name
#define FAKE_PID	  4711
#define FAKE_WAIT_MS	  5000
#define FAKE_FEATURES	  (1ULL << 32)
#define FAKE_QUEUES	  2
#define FAKE_MEMORY_BYTES (2U << 20)

/* What the fake broker was asked. */
struct broker_client {
	broker_spawned_fn spawned; /* NULL: nothing waits for an answer */
	void *spawn_opaque;
	int worker_fd; /* the worker's end, -1 */
	unsigned kills;
	int32_t killed_pid;
	int refuse; /* errno that SPAWN fails with at once; 0: it does not */
};

/* What the fake transport was told. */
struct virtio_pci {
	const struct virtio_backend_ops *ops;
	void *opaque;
	unsigned resets_done, needs_resets, config_changes;
	size_t config_bytes;
	struct virtio_activation activation; /* queue_count 0: the driver is not there */
};

struct fixture {
	uv_loop_t loop;
	struct task_queue tasks;
	struct guest_memory *memory;
	struct broker_client broker;
	struct worker_device_context context;
	struct worker_device *device;
	bool tasks_open;

	/* Counted callbacks and their last error. */
	unsigned ready, failed, changed, done, gone;
	struct error ready_error, failed_error, done_error;
	void (*in_done)(struct fixture *fixture); /* called in the next done() */
	uint8_t state[256];
	size_t state_bytes;
	struct worker_device_counter counters[32];
	size_t counter_count;
};

/* A received request. */
struct request {
	struct frame_header header;
	uint8_t payload[FRAME_MAX_PAYLOAD];
	int fds[FRAME_MAX_FDS];
	unsigned fd_count;
};

/* ---- fixture ---- */
int fixture_setup(void **state);    /* a device that was asked for: state STARTING */
int fixture_teardown(void **state); /* destroys what is left */
void fixture_run(struct fixture *fixture, unsigned milliseconds);
/* Run the loop until *count is at least `least`; fails the test after FAKE_WAIT_MS. */
void fixture_wait(struct fixture *fixture, const unsigned *count, unsigned least);
void fixture_destroy_device(struct fixture *fixture);

/* The broker's answer, then CONFIGURE and a good answer: state READY, plugged. */
void fixture_make_ready(struct fixture *fixture);
/* And activated by the driver. */
void fixture_make_active(struct fixture *fixture);
void fixture_spawned(struct fixture *fixture);
struct virtio_pci *fixture_transport(const struct fixture *fixture);
/* What the driver does. */
void fixture_driver_activates(struct fixture *fixture);
void fixture_driver_resets(struct fixture *fixture);

/* For life-cycle calls: counts, keeps the error, then runs in_done. opaque is the fixture. */
void fixture_on_done(void *opaque, struct worker_device *device, const struct error *err);
void fixture_on_state(void *opaque, struct worker_device *device, const uint8_t *state,
		      size_t state_bytes, const struct error *err);
void fixture_on_counters(void *opaque, struct worker_device *device,
			 const struct worker_device_counter *counters, size_t count,
			 const struct error *err);

/* ---- the worker's end ---- */

/* Wait for the next request and insist on its type. Its fds are closed by request_free(). */
void worker_receive(struct fixture *fixture, uint16_t type, struct request *request);
void request_free(struct request *request);
/* Receive and answer with an empty message. */
void worker_agree(struct fixture *fixture, uint16_t type);
void worker_send(struct fixture *fixture, enum frame_kind kind, uint16_t type, uint32_t id,
		 int32_t error_code, const void *payload, size_t bytes, const int *fds,
		 unsigned fd_count);
void worker_send_message(struct fixture *fixture, enum frame_kind kind, uint16_t type, uint32_t id,
			 const ProtobufCMessage *message);
void worker_send_raw(struct fixture *fixture, const void *bytes, size_t length_bytes);
void worker_die(struct fixture *fixture);

#endif
