/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct worker_device, shared by the files that make it up: worker_device.c (life
 * and death), worker_requests.c and worker_questions.c (what the core asks), worker_transport.c
 * (what the guest wishes).
 */
#ifndef BULKHEAD_VMM_CORE_WORKERS_WORKER_DEVICE_PARTS_H
#define BULKHEAD_VMM_CORE_WORKERS_WORKER_DEVICE_PARTS_H

#include <pthread.h>

#include "ipc/channel.h"
#include "ipc/log.h"
#include "proto/worker.pb-c.h"
#include "vmm/core/workers/channel_watch.h"
#include "vmm/core/workers/worker_device.h"

/* Deadlines of requests to workers, in milliseconds. */
#define WORKER_CONFIGURE_TIMEOUT_MS 10000
#define WORKER_ACTIVATE_TIMEOUT_MS  10000
#define WORKER_RESET_TIMEOUT_MS	    30000 /* drains what is in flight */
#define WORKER_UPDATE_TIMEOUT_MS    5000
#define WORKER_STATS_TIMEOUT_MS	    2000
#define WORKER_SHUTDOWN_TIMEOUT_MS  2000

struct worker_device {
	/* Fixed from creation on. */
	char id[64];
	char kind[16];
	uint16_t virtio_device_id;
	uint32_t class_code;
	const struct worker_device_context *context;

	/* Loop thread only. */
	enum worker_device_state state;
	struct channel *channel; /* NULL: none (yet, or any more) */
	struct channel_watch watch;
	bool watching;
	struct virtio_pci *transport; /* NULL until plugged */
	int32_t pid;		      /* 0: not running */
	bool spawning;		      /* the broker has not answered yet */
	struct error closed;	      /* why the channel closed meanwhile; code 0: it is open */
	uint32_t uid;
	uint8_t *config;
	size_t config_bytes;
	int fds[WORKER_DEVICE_MAX_FDS];
	unsigned fd_count;
	uint8_t *saved_state;
	size_t saved_state_bytes;
	Bulkhead__Worker__Configured *configured; /* the worker's description */
	int inflight_fd;			  /* -1: none yet */
	bool request_open;			  /* a life-cycle request waits for its answer */
	worker_device_done_fn done;		  /* of that request; NULL: the guest's own wish */
	void *done_opaque;
	bool done_always; /* somebody outside of the VM waits: also when the device goes meanwhile
			   */
	channel_reply_fn activated; /* ACTIVATE waits for its answer: who gets it, once checked */
	bool activated_on_demand;   /* it asked for a userfaultfd */
	struct log_ratelimit needs_reset_log;
	bool reset_queued; /* the core wants a reset as soon as that request is over */
	worker_device_done_fn reset_done;
	void *reset_opaque;
	bool destroying;
	void (*gone)(void *opaque);
	void *gone_opaque;

	/* What the guest wishes; guarded by wishes_lock, which nests inside the transport's lock.
	 */
	pthread_mutex_t wishes_lock;
	bool wish_reset;
	bool wish_activate;
	struct virtio_activation activation;
	struct task wishes_task;
};

/* worker_requests.c: rows of the channel, and the requests that creation and wishes need. */
extern const struct channel_row worker_device_rows[];
extern const size_t worker_device_row_count;
int worker_request_configure(struct worker_device *device, struct error *err);
int worker_request_activate(struct worker_device *device,
			    const struct virtio_activation *activation, bool restored,
			    channel_reply_fn reply, struct error *err);
int worker_request_simple(struct worker_device *device, uint16_t type, uint32_t timeout_ms,
			  channel_reply_fn reply, void *opaque, struct error *err);

int worker_request_drain(struct worker_device *device, uint16_t type, uint32_t timeout_ms,
			 channel_reply_fn reply, struct error *err);

/* To a worker that waits for CONFIGURE everything else is a violation, over which it ends. */
int worker_require_configured(const struct worker_device *device, struct error *err);

/* An answer that came although its worker was given up in the meantime: what to tell who asked. */
void worker_was_given_up(const struct worker_device *device, struct error *err);

/* worker_device.c: CONFIGURE was answered. */
void worker_device_on_configured(struct worker_device *device,
				 Bulkhead__Worker__Configured *configured, const struct error *err);
/* The life-cycle request is over: tell who asked, then look at the guest's wishes again. */
void worker_device_finish_request(struct worker_device *device, const struct error *err);

/* worker_transport.c */
extern const struct virtio_backend_ops worker_transport_ops;
/* Look at the guest's wishes soon; loop thread. Nothing once the device is being destroyed. */
void worker_transport_look_again(struct worker_device *device);
void worker_transport_carry_out_wishes(void *opaque);

#endif
