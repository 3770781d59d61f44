/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's side of proto/worker.proto for tests and benchmarks: starts a real worker in its real
 * sandbox and speaks to it. Every call waits for its answer under a deadline; when the worker died
 * or tried a forbidden system call, err says so.
 *
 *   struct worker_driver driver;
 *   worker_driver_start(&driver, "rng", &err);
 *   worker_driver_configure(&driver, &config.base, NULL, 0, &err);
 *   memory = guest_ram_new(…); ring_driver_init(&ring, …);
 *   worker_driver_activate(&driver, …);
 *   … ring_driver_add(), ring_driver_kick(), ring_driver_wait() …
 *   worker_driver_stop(&driver);
 */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_WORKER_DRIVER_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_WORKER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/error.h"
#include "proto/worker.pb-c.h"
#include "tests/devworkers/common/guest_ram.h"
#include "tests/devworkers/common/ring_driver.h"
#include "tests/devworkers/common/worker_launcher.h"

#define WORKER_DRIVER_TIMEOUT_MS 10000U

struct worker_driver {
	struct launched_worker process;
	struct channel *channel;
	bool closed; /* the worker closed its socket */
	char closed_reason[ERROR_MESSAGE_SIZE];

	/* from CONFIGURED and CONFIG_CHANGED */
	uint64_t features;
	uint8_t config_space[256];
	size_t config_space_bytes;
	unsigned queue_count;
	uint32_t queue_sizes[16];

	uint64_t region_address; /* memory on demand: where the worker mapped it; else 0 */

	/* events so far */
	unsigned config_changed_count, needs_reset_count;
	char needs_reset_reason[ERROR_MESSAGE_SIZE];
};

/*
 * Start $BULKHEAD_BUILD/bin/bulkhead-KIND ("build" without the variable). seccomp is enforced; the
 * worker's log comes out on our standard error. -ENOENT: not built.
 */
int worker_driver_start(struct worker_driver *driver, const char *kind, struct error *err);

/* SHUTDOWN, or kill; reap. Returns the status of waitpid(): 0 after a clean end. Accepts a driver
 * that was never started if it is zeroed. */
int worker_driver_stop(struct worker_driver *driver);

/*
 * Send any request and wait for its reply. reply may be NULL; else it is the unpacked body (freed
 * by the caller with protobuf_c_message_free_unpacked) or NULL. *reply_fd is -1 or an fd that came
 * with it (owned by the caller); may be NULL.
 */
int worker_driver_call(struct worker_driver *driver, Bulkhead__Worker__MessageType type,
		       const ProtobufCMessage *body, const int *fds, unsigned fd_count,
		       ProtobufCMessage **reply, int *reply_fd, struct error *err);

/* CONFIGURE: config is the kind's own message (NULL: empty); fds are borrowed. Fills features,
 * config_space, queue_sizes. */
int worker_driver_configure(struct worker_driver *driver, const ProtobufCMessage *config,
			    const int *fds, unsigned fd_count, struct error *err);

/* The same with a saved state: bytes as worker_driver_save_state() gave them. */
int worker_driver_configure_saved(struct worker_driver *driver, const ProtobufCMessage *config,
				  const int *fds, unsigned fd_count, const uint8_t *state,
				  size_t state_bytes, struct error *err);

struct worker_driver_activation {
	uint64_t features; /* 0: all that were offered */
	const struct guest_ram *ram;
	struct ring_driver *const *rings;
	unsigned ring_count;
	bool restored;		   /* queues go on from the saved state */
	int inflight_fd;	   /* 0 or -1: none; borrowed */
	int userfaultfd_device_fd; /* /dev/userfaultfd: memory on demand; 0 or -1: not; borrowed */
	bool quiesced;
};

/* ACTIVATE. *userfaultfd (may be NULL unless on demand) is owned by the caller. */
int worker_driver_activate(struct worker_driver *driver,
			   const struct worker_driver_activation *activation, int *userfaultfd,
			   struct error *err);

/* ACTIVATE with all features, one ram and these rings. */
int worker_driver_activate_simple(struct worker_driver *driver, const struct guest_ram *ram,
				  struct ring_driver *const *rings, unsigned ring_count,
				  struct error *err);

/* RESET, QUIESCE (both with a drain deadline of timeout_ms), RESUME, UPDATE. */
int worker_driver_reset(struct worker_driver *driver, unsigned timeout_ms, struct error *err);
int worker_driver_quiesce(struct worker_driver *driver, unsigned timeout_ms, struct error *err);
int worker_driver_resume(struct worker_driver *driver, struct error *err);
int worker_driver_update(struct worker_driver *driver, const ProtobufCMessage *update,
			 const int *fds, unsigned fd_count, struct error *err);

/* SAVE_STATE: a packed SavedState, malloc'ed, from the packet or its file. */
int worker_driver_save_state(struct worker_driver *driver, uint8_t **state, size_t *state_bytes,
			     struct error *err);

/* DIRTY_LOG: start into fd (borrowed), or stop with -1. */
int worker_driver_dirty_log(struct worker_driver *driver, int fd, struct error *err);

/* STATS: the value of one counter; -ENOENT when there is none of that name. */
int worker_driver_counter(struct worker_driver *driver, const char *name, uint64_t *value,
			  struct error *err);

/* Handle what arrives for timeout_ms or until *count is at least wanted (a member of driver).
 * True when it is. */
bool worker_driver_wait_event(struct worker_driver *driver, const unsigned *count, unsigned wanted,
			      unsigned timeout_ms);

/* Handle what has arrived, wait at most timeout_ms for the worker to end by itself. */
bool worker_driver_wait_end(struct worker_driver *driver, unsigned timeout_ms);

#endif
