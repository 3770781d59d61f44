/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line says about control: which sockets there are, and where events go. Parsed by
 * the command line's rows, used by control_server.h.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_CONTROL_SETTINGS_H
#define BULKHEAD_VMM_CORE_CONTROL_CONTROL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/error.h"
#include "proto/control.pb-c.h"

#define CONTROL_MAX_SOCKETS 8

struct control_socket_setting {
	Bulkhead__Control__Role role;
	char path[108];		 /* "": fd */
	int fd;			 /* given by who started us, listening already; -1 */
	bool qmp_no_negotiation; /* commands are obeyed before qmp_capabilities */
};

struct control_settings {
	struct control_socket_setting sockets[CONTROL_MAX_SOCKETS];
	unsigned socket_count;
	char event_monitor_path[4096]; /* "": none, or event_monitor_fd */
	bool has_event_monitor_fd;
	int event_monitor_fd;
};

/*
 * --api-socket, --metrics-socket: "PATH", "path=PATH" or "fd=N". --qmp: "PATH" or
 * "unix:PATH[,server=on][,wait=off][,negotiate=off]". --event-monitor: "path=PATH" or "fd=N". Each
 * may be given several times but the last. -EINVAL with err naming the option.
 */
int control_settings_add_api_socket(struct control_settings *settings, const char *text,
				    struct error *err);
int control_settings_add_metrics_socket(struct control_settings *settings, const char *text,
					struct error *err);
int control_settings_add_qmp(struct control_settings *settings, const char *text,
			     struct error *err);
int control_settings_set_event_monitor(struct control_settings *settings, const char *text,
				       struct error *err);

/*
 * Open what --event-monitor names: a fifo, whoever reads it, or a file, which is made 0600 or
 * appended to. Before the core gives up paths. *fd is the caller's, non-blocking; -1: there is
 * none.
 */
int control_settings_open_event_monitor(const struct control_settings *settings, int *fd,
					struct error *err);

#endif
