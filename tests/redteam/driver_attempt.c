/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt: a hostile worker is started, gets its order, and is watched until it is gone. */
#include "tests/redteam/driver.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "proto/worker.pb-c.h"

#define ATTEMPT_MS 5000 /* to end by itself or to be ended */
#define REQUEST_MS 200	/* for an answer of the hostile worker */
#define WATCH_MS   400	/* an attempt against the core goes on for this long */

static unsigned count_own_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static void on_spawned(void *opaque, int32_t pid, uint32_t uid, const struct error *err)
{
	struct outcome *outcome = opaque;

	(void)uid;
	outcome->spawn_answered = true;
	outcome->pid = pid;
	if (err)
		(void)snprintf(outcome->spawn_error, sizeof(outcome->spawn_error), "%s",
			       err->message);
}

/* Returns our end of the hostile worker's socket, or -1. */
static int attempt_spawn(struct driver *driver, size_t index, struct outcome *outcome)
{
	struct error err = ERROR_INIT;
	char device_id[32];
	int ends[2];

	(void)snprintf(device_id, sizeof(device_id), "attempt-%zu", index);
	if (channel_socketpair(ends, &err) != 0)
		return -1;
	if (broker_spawn(driver->broker, driver->environment->kind, device_id, ends[1], on_spawned,
			 outcome, &err) != 0)
		fd_close(&ends[0]);
	close(ends[1]);
	while (ends[0] >= 0 && !outcome->spawn_answered && !driver->broker_gone)
		driver_turn(driver, -1, 1000);
	if (outcome->pid <= 0)
		fd_close(&ends[0]);
	return ends[0];
}

static void attempt_wait_for_end(struct driver *driver, struct outcome *outcome)
{
	uint64_t deadline_ms = channel_now_ms() + ATTEMPT_MS;

	while (!outcome->exited && !driver->broker_gone && channel_now_ms() < deadline_ms)
		driver_turn(driver, -1, 100);
	if (!outcome->exited && !driver->broker_gone) {
		struct error err = ERROR_INIT;

		(void)broker_kill(driver->broker, outcome->pid, &err);
		deadline_ms = channel_now_ms() + ATTEMPT_MS;
		while (!outcome->exited && channel_now_ms() < deadline_ms)
			driver_turn(driver, -1, 100);
	}
}

static void attempt_watch(struct driver *driver, struct outcome *outcome, int fd)
{
	int64_t result;

	attempt_wait_for_end(driver, outcome);
	/* Said before it ended; a packet outlives its sender. */
	if (recv(fd, &result, sizeof(result), MSG_DONTWAIT) == (ssize_t)sizeof(result)) {
		outcome->told = true;
		outcome->result = result;
	}
}

/* ---- attempts against the core ---- */

static int on_needs_reset(void *owner, struct channel_message *message, struct error *err)
{
	(void)owner;
	(void)message;
	(void)err;
	return 0;
}

static const struct channel_row rows[] = {
	{BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS, FRAME_REPLY, "stats",
	 &bulkhead__worker__stats__descriptor, 0, 0, 0, 0, NULL},
	{BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET, FRAME_EVENT, "needs-reset",
	 &bulkhead__worker__needs_reset__descriptor, 0, 0, 0, 0, on_needs_reset},
};

static void on_closed(void *owner, const struct error *err)
{
	struct outcome *outcome = owner;

	outcome->cut_off = true;
	(void)snprintf(outcome->reason, sizeof(outcome->reason), "%s", err->message);
}

static const struct channel_callbacks callbacks = {.closed = on_closed};

static void on_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct outcome *outcome = opaque;

	outcome->request_failed = message == NULL;
	if (err && !outcome->cut_off)
		(void)snprintf(outcome->reason, sizeof(outcome->reason), "%s", err->message);
}

static void core_turn(struct driver *driver, struct channel *channel, struct outcome *outcome)
{
	uint64_t begin_ms, turn_ms;

	driver_turn(driver, channel_fd(channel), 20);
	begin_ms = channel_now_ms();
	if (channel_fd(channel) >= 0)
		(void)channel_dispatch(channel, 0);
	if (channel_fd(channel) >= 0)
		channel_expire(channel, channel_now_ms());
	turn_ms = channel_now_ms() - begin_ms;
	if (turn_ms > outcome->longest_turn_ms)
		outcome->longest_turn_ms = turn_ms;
}

static void attempt_endure(struct driver *driver, struct outcome *outcome, int fd)
{
	uint64_t end_ms = channel_now_ms() + WATCH_MS;
	struct error err = ERROR_INIT;
	struct channel *channel = channel_new(fd, "hostile", rows, 2, &callbacks, outcome, &err);

	if (!channel) {
		close(fd);
		return;
	}
	(void)channel_request(channel, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS, NULL, NULL, 0,
			      REQUEST_MS, on_reply, outcome, &err);
	while (channel_now_ms() < end_ms && !outcome->cut_off)
		core_turn(driver, channel, outcome);
	(void)broker_kill(driver->broker, outcome->pid, &err);
	attempt_wait_for_end(driver, outcome);
	channel_destroy(channel);
}

void driver_try(struct driver *driver, size_t index, const struct attempt *attempt,
		struct outcome *outcome)
{
	unsigned fds_before = count_own_fds();
	int fd;

	*outcome = (struct outcome){0};
	driver->outcome = outcome;
	fd = attempt_spawn(driver, index, outcome);
	if (fd >= 0 &&
	    send(fd, &driver->order, sizeof(driver->order), MSG_NOSIGNAL) != sizeof(driver->order))
		fd_close(&fd);
	if (fd >= 0 && attempt->defence == BY_CORE) {
		attempt_endure(driver, outcome, fd_steal(&fd));
	} else if (fd >= 0) {
		attempt_watch(driver, outcome, fd);
	}
	fd_close(&fd);
	driver->outcome = NULL;
	outcome->fds_leaked = count_own_fds() != fds_before;
}
