/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's end of the conversation with the broker (proto/broker.proto): starts it, before the
 * core does anything else, and asks it for what only it may do. Synchronous calls are for start-up
 * and the end; they wait for the broker alone and handle its events meanwhile. Owned by the loop
 * thread (the main thread: the broker ends with the thread that started it).
 */
#ifndef BULKHEAD_VMM_CORE_WORKERS_BROKER_CLIENT_H
#define BULKHEAD_VMM_CORE_WORKERS_BROKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/error.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"

struct broker_client;

struct broker_start_options {
	const char *program; /* NULL: bulkhead-broker beside our own program */
	const char *vm_name; /* NULL: "vm" */
	int log_fd;	     /* borrowed; for the broker and all that it starts */
	enum log_level log_level;
	bool log_json;
	const char *seccomp;	   /* "true", "log", "false"; NULL: "true" */
	const char *uid_range;	   /* "BASE:COUNT"; NULL: the default */
	const char *uid_lock_path; /* NULL: the default */
	const char *allow_missing; /* "landlock,…": sandbox stages; NULL: none */
	const char *worker_folder; /* NULL: the folder of the broker's program */
};

/* All optional. Strings are valid during the call. */
struct broker_events {
	/* A process that was spawned has ended (signal 0: exit_status). */
	void (*exited)(void *opaque, int32_t pid, const char *device_id, int32_t exit_status,
		       int32_t signal);
	/* A process made a forbidden system call and was killed; exited() follows. */
	void (*violation)(void *opaque, int32_t pid, const char *kind, const char *device_id,
			  int32_t syscall_number, const char *syscall_name);
	/* The broker is gone: the VM cannot go on for long. Not after broker_client_shutdown(). */
	void (*closed)(void *opaque, const struct error *err);
};

/* pid > 0 and err NULL, or err set. uid is the host's. */
typedef void (*broker_spawned_fn)(void *opaque, int32_t pid, uint32_t uid, const struct error *err);

/*
 * Start the broker and exchange HELLO. From then on the calling process leaves no zombies: it must
 * have no other children that it waits for. events (copied) may be NULL. NULL with err set on
 * failure: then nothing is left running.
 */
struct broker_client *broker_client_start(const struct broker_start_options *options,
					  const struct broker_events *events, void *opaque,
					  struct error *err);

/*
 * The same in two steps, for who has something else to do while the broker starts: launch() returns
 * at once, hello() waits for it. After a failed hello() only destroy() is left.
 */
struct broker_client *broker_client_launch(const struct broker_start_options *options,
					   const struct broker_events *events, void *opaque,
					   struct error *err);
int broker_client_hello(struct broker_client *client, struct error *err);

/*
 * Close and free. The broker sees the end of the socket, kills every process and leaves nothing
 * behind. Accepts NULL.
 */
void broker_client_destroy(struct broker_client *client);

/*
 * End orderly: returns when every process is gone and the broker has cleaned up, or after
 * timeout_ms with an error. Follow with broker_client_destroy().
 */
int broker_client_shutdown(struct broker_client *client, uint32_t timeout_ms, struct error *err);

/* To be polled and dispatched by the loop (channel_watch). Borrowed; valid until destroy. */
struct channel *broker_client_channel(struct broker_client *client);

/* The watch that polls this channel: told about every request, so that it keeps the deadlines.
 * Borrowed. */
struct channel_watch;
void broker_client_set_watch(struct broker_client *client, struct channel_watch *watch);

/* An asynchronous request (channel_request) under that watch. */
int broker_client_request(struct broker_client *client, uint16_t type, const ProtobufCMessage *body,
			  const int *fds, unsigned fd_count, uint32_t timeout_ms,
			  channel_reply_fn callback, void *opaque, struct error *err);

/* What the broker said about this host; valid until destroy. */
const Bulkhead__Broker__Welcome *broker_client_welcome(const struct broker_client *client);

/* Declare resources. Synchronous. -EPERM after broker_seal(). */
int broker_declare(struct broker_client *client, const Bulkhead__Broker__Declare *declare,
		   struct error *err);

/*
 * Open the declared resource id. *fd is the caller's. path (path_bytes, may be NULL) receives the
 * slave's path of a pty, "" otherwise. Synchronous.
 */
int broker_open(struct broker_client *client, const char *id, char *path, size_t path_bytes,
		int *fd, struct error *err);

/* The same for one of several declarations with one id. */
int broker_open_declared(struct broker_client *client, const Bulkhead__Broker__Resource *resource,
			 char *path, size_t path_bytes, int *fd, struct error *err);

/*
 * Start bulkhead-KIND with core_fd (borrowed) as its socket to the core. callback runs exactly once
 * later, unless this call fails: when the process has closed its sandbox, or could not.
 */
int broker_spawn(struct broker_client *client, const char *kind, const char *device_id, int core_fd,
		 broker_spawned_fn callback, void *opaque, struct error *err);

/* The same for a helper process ("gateway"). */
int broker_spawn_helper(struct broker_client *client, const char *kind, const char *id, int core_fd,
			broker_spawned_fn callback, void *opaque, struct error *err);

/*
 * Whoever gave `opaque` to broker_spawn() or broker_spawn_helper() goes away: callbacks that are
 * still to come are dropped, and a process that such a request still starts is killed at once.
 */
void broker_spawn_forget(struct broker_client *client, const void *opaque);

/* broker_spawn() that waits. *pid and *uid may be NULL. */
int broker_spawn_sync(struct broker_client *client, const char *kind, const char *device_id,
		      int core_fd, int32_t *pid, uint32_t *uid, struct error *err);

/*
 * Kill a process that was spawned. Does not wait: exited() follows. A process that has ended on its
 * own in the meantime is no error.
 */
int broker_kill(struct broker_client *client, int32_t pid, struct error *err);

/* From now on we cannot declare any more (once, for a restore that a client asked for).
 * Synchronous. */
int broker_seal(struct broker_client *client, struct error *err);
bool broker_is_sealed(const struct broker_client *client);

#endif
