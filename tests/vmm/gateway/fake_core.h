/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core for the gateway to talk to: starts the real, sandboxed bulkhead-gateway, gives it
 * listening sockets in a temporary folder, and answers its commands from a small model of a VM, on
 * a thread of its own. The test is the client.
 */
#ifndef BULKHEAD_TESTS_VMM_GATEWAY_FAKE_CORE_H
#define BULKHEAD_TESTS_VMM_GATEWAY_FAKE_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/config.pb-c.h"
#include "proto/control.pb-c.h"

struct fake_core;

enum fake_socket {
	FAKE_HTTP,
	FAKE_QMP,
	FAKE_QMP_NO_NEGOTIATION,
	FAKE_METRICS,
	FAKE_SOCKET_COUNT
};

/* NULL: printed, as "skip: …" when the host cannot run the sandbox. */
struct fake_core *fake_core_start(void);
/* The gateway must end by itself, with status 0. Returns whether it did; *core is NULL then. */
bool fake_core_stop(struct fake_core *core);

/* Both as set-up and tear-down of a cmocka test; *state is the struct fake_core. */
int fake_core_set_up(void **state);
int fake_core_tear_down(void **state);

const char *fake_core_path(const struct fake_core *core, enum fake_socket socket);
pid_t fake_core_gateway_pid(const struct fake_core *core);

/* Kill the gateway and give the same sockets to another. */
void fake_core_restart_gateway(struct fake_core *core);

/* Answers of this type wait until fake_core_release(). */
void fake_core_hold(struct fake_core *core, uint16_t type);
void fake_core_release(struct fake_core *core);
/* How many are waiting. */
unsigned fake_core_held(struct fake_core *core);

/* Refuse the next commands of this type with code. 0: no longer. */
void fake_core_refuse(struct fake_core *core, uint16_t type, int code, const char *text);

/* Turn clients away. */
void fake_core_turn_away(struct fake_core *core, bool turn_away);

/* How many commands of this type have come. */
unsigned fake_core_count(struct fake_core *core, uint16_t type);

/* The configuration of vm.create, the caller's; NULL: none. */
Bulkhead__Config__Vm *fake_core_config(struct fake_core *core);

void fake_core_event(struct fake_core *core, Bulkhead__Control__EventKind kind, const char *source,
		     const char *event);

#endif
