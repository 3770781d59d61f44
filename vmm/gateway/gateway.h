/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway process: listening sockets and clients on one side, the core on the other, between
 * them the tables that translate (http_routes.c, qmp_commands.c). One object, one thread.
 *
 * It keeps nothing that matters: if it dies the core starts another, gives it the same listening
 * sockets, and clients connect again.
 */
#ifndef BULKHEAD_VMM_GATEWAY_GATEWAY_H
#define BULKHEAD_VMM_GATEWAY_GATEWAY_H

#include "devworkers/common/loop.h"
#include "ipc/error.h"
#include "proto/control.pb-c.h"
#include "vmm/gateway/client.h"
#include "vmm/gateway/broker_link.h"
#include "vmm/gateway/core_link.h"

#define GATEWAY_MAX_SOCKETS 8

struct listener {
	struct gateway *gateway;
	int fd;
	Bulkhead__Control__Role role;
	bool qmp_no_negotiation;
	struct loop_watch *watch;
};

struct gateway {
	struct loop *loop;
	struct core_link core;
	struct broker_link broker;
	struct listener listeners[GATEWAY_MAX_SOCKETS];
	unsigned listener_count;
	char vm_name[64];
	struct client *clients;
	unsigned client_counts[4]; /* by role */
	bool ended_clients;	   /* some are to be freed */
	bool paused_accepting;	   /* no descriptors left; until the next tick */
	/* DRAIN that waits for its answer. */
	bool draining;
	uint32_t drain_request_id;
};

/*
 * Make the gateway with core_fd (owned in every case) as its socket to the core: everything that
 * needs system calls which are forbidden later. On failure gateway_destroy() is still to be called.
 */
int gateway_init(struct gateway *gateway, int core_fd, struct error *err);

/* Serve until the core is gone. 0, or a negative errno when it was cut off. */
int gateway_run(struct gateway *gateway);

/* Accepts a half-built object. */
void gateway_destroy(struct gateway *gateway);

/* From the core. fds are taken. -EINVAL with err when the message is not one of our core's. */
int gateway_configure(struct gateway *gateway, const Bulkhead__Control__Configure *configure,
		      int *fds, struct error *err);
void gateway_on_event(struct gateway *gateway, const Bulkhead__Control__Event *event);
void gateway_drain(struct gateway *gateway, uint32_t request_id);

/* A call to the core has ended: those who could not call may try again. */
void gateway_retry_clients(struct gateway *gateway);

/* Some client's deadline has changed. */
void gateway_update_timer(struct gateway *gateway);

/* ---- listener.c ---- */
int listener_open(struct listener *listener, struct gateway *gateway, int fd,
		  const Bulkhead__Control__Socket *socket);
void listener_close(struct listener *listener);
/* Stop and go on accepting. */
void listener_set_accepting(struct listener *listener, bool accepting);

#endif
