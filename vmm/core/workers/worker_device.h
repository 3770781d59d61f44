/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtio device as the core sees it: the transport the guest talks to (pci/virtio_pci), the
 * worker process behind it, and the conversation between the core and that worker.
 *
 * The conversation belongs to the loop thread. vCPU threads only leave wishes (activate, reset)
 * that the loop carries out one at a time, each under a deadline. A worker that dies, breaks the
 * protocol or is late is cut off by name; its device then tells the driver that it needs a reset,
 * and the VM goes on.
 */
#ifndef BULKHEAD_VMM_CORE_WORKERS_WORKER_DEVICE_H
#define BULKHEAD_VMM_CORE_WORKERS_WORKER_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "ipc/error.h"
#include "vmm/core/control/task_queue.h"
#include "vmm/core/pci/virtio_pci.h"
#include "vmm/core/workers/broker_client.h"

#define WORKER_RESUME_TIMEOUT_MS 5000 /* of a worker that is well */

#define WORKER_DEVICE_MAX_FDS 4

struct worker_device;
struct guest_memory;

/* STARTING -> READY -> ACTIVE <-> QUIESCED; any -> FAILED, where it stays until replaced. */
enum worker_device_state {
	WORKER_DEVICE_STARTING, /* being spawned and configured */
	WORKER_DEVICE_READY,	/* configured, the driver is not (any more) using it */
	WORKER_DEVICE_ACTIVE,	/* owns its queues */
	WORKER_DEVICE_QUIESCED, /* owns its queues, touches neither them nor guest memory */
	WORKER_DEVICE_FAILED,	/* no worker */
};

struct worker_device_events {
	/* Spawned and configured (err NULL), or failed to. Once. */
	void (*ready)(void *opaque, struct worker_device *device, const struct error *err);
	/* The worker is gone or was cut off after ready. Once. */
	void (*failed)(void *opaque, struct worker_device *device, const struct error *err);
	/* Activated, or back to READY after a reset. */
	void (*changed)(void *opaque, struct worker_device *device);
	/*
	 * Memory is on demand and the worker has mapped it: where, one address a region, is its own
	 * word. The callee takes the userfaultfd in every case; a negative errno with err set fails
	 * the worker. NULL: no device is ever on demand.
	 */
	int (*on_demand)(void *opaque, struct worker_device *device, int userfaultfd,
			 const uint64_t *region_addresses, size_t region_count, struct error *err);
};

struct worker_device_options {
	const char *id;	  /* unique in the VM; copied */
	const char *kind; /* worker binary: bulkhead-KIND */
	uint16_t virtio_device_id;
	uint32_t class_code;
	const uint8_t *config; /* the kind's own message, packed; copied */
	size_t config_bytes;
	int fds[WORKER_DEVICE_MAX_FDS]; /* taken in every case */
	unsigned fd_count;
	const uint8_t *saved_state; /* from a snapshot, or NULL; copied */
	size_t saved_state_bytes;
};

/* What all devices of one VM share; outlives them. */
struct worker_device_context {
	uv_loop_t *loop;
	struct task_queue *tasks;
	struct broker_client *broker;
	const struct guest_memory *memory;
	int log_fd;
	int userfaultfd_device; /* memory is served on demand: /dev/userfaultfd; else -1 */
	const struct worker_device_events *events;
	void *opaque;
};

/* Ask the broker for a worker and configure it; ready() follows. NULL with err set: nothing
 * follows. */
struct worker_device *worker_device_new(const struct worker_device_options *options,
					const struct worker_device_context *context,
					struct error *err);

/* Put the device on the PCI bus once ready. slot -1: first free. */
int worker_device_plug(struct worker_device *device, struct kvm_vm *vm, struct pci_bus *bus,
		       int slot, struct error *err);

/*
 * Disconnect: the worker is told to shut down and killed if it does not; gone(opaque) is called
 * when nothing refers to the device any more and it is freed. vCPUs are stopped or the device is
 * unplugged.
 */
void worker_device_destroy(struct worker_device *device, void (*gone)(void *opaque), void *opaque);

const char *worker_device_id(const struct worker_device *device);
const char *worker_device_kind(const struct worker_device *device);
enum worker_device_state worker_device_state(const struct worker_device *device);
struct virtio_pci *worker_device_transport(const struct worker_device *device);
int32_t worker_device_pid(const struct worker_device *device);
uint32_t worker_device_uid(const struct worker_device *device);

/* Give the worker up: cut it off with this reason, as if it had died. */
void worker_device_fail(struct worker_device *device, const struct error *why);

/* Nothing is being asked of the worker and no wish of the guest is open. */
bool worker_device_is_idle(const struct worker_device *device);

typedef void (*worker_device_done_fn)(void *opaque, struct worker_device *device,
				      const struct error *err);

/*
 * Life-cycle requests; done is called once later unless the call itself fails. One at a time a
 * device. reset works in every state (READY and FAILED: nothing to do). Deadlines are in
 * milliseconds.
 */
int worker_device_reset(struct worker_device *device, worker_device_done_fn done, void *opaque,
			struct error *err);
int worker_device_quiesce(struct worker_device *device, uint32_t timeout_ms,
			  worker_device_done_fn done, void *opaque, struct error *err);
int worker_device_resume(struct worker_device *device, uint32_t timeout_ms,
			 worker_device_done_fn done, void *opaque, struct error *err);

/* Activate from restored transport state; the saved state was given at creation. */
int worker_device_activate_restored(struct worker_device *device, worker_device_done_fn done,
				    void *opaque, struct error *err);

/* state is valid during the call. */
typedef void (*worker_device_state_fn)(void *opaque, struct worker_device *device,
				       const uint8_t *state, size_t state_bytes,
				       const struct error *err);
int worker_device_save(struct worker_device *device, uint32_t timeout_ms,
		       worker_device_state_fn done, void *opaque, struct error *err);

/* The kind's own update message, packed; fds borrowed. */
int worker_device_update(struct worker_device *device, const uint8_t *update, size_t update_bytes,
			 const int *fds, unsigned fd_count, worker_device_done_fn done,
			 void *opaque, struct error *err);

struct worker_device_counter {
	char name[32];
	uint64_t value;
};
typedef void (*worker_device_counters_fn)(void *opaque, struct worker_device *device,
					  const struct worker_device_counter *counters,
					  size_t count, const struct error *err);
int worker_device_counters(struct worker_device *device, worker_device_counters_fn done,
			   void *opaque, struct error *err);

#endif
