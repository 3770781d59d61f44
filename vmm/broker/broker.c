/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"

/* The channels, and a pidfd, a launch socket, a listener and a log for each process. */
#define MAX_POLL_FDS (2 + 4 * BROKER_MAX_PROCESSES)

static void on_core_closed(void *owner, const struct error *err)
{
	struct broker *broker = owner;

	log_debug("the core is gone: %s", err->message);
	broker->core_gone = true;
	broker_stop(broker);
}

static const struct channel_callbacks callbacks = {
	.state = broker_channel_state,
	.closed = on_core_closed,
};

int broker_init(struct broker *broker, const struct broker_options *options, struct error *err)
{
	struct error reason = ERROR_INIT;
	int rc;

	*broker = (struct broker){
		.options = options,
		.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.own_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0),
		.root = geteuid() == 0,
		.kinds = {.program_fds = {-1, -1, -1, -1, -1, -1, -1, -1}},
		.uids = UID_SLOT_INIT,
		.cgroup = VM_CGROUP_INIT,
		.snapshot = SNAPSHOT_DIRECTORY_INIT,
	};
	if (broker->null_fd < 0)
		return error_set_errno(err, -errno, "/dev/null");
	if (broker->own_pidfd < 0)
		return error_set_errno(err, -errno, "pidfd_open");
	rc = kind_table_open(&broker->kinds, options->worker_folder, err);
	if (rc == 0 && broker->root)
		rc = uid_slot_claim(&broker->uids, options->uid_lock_path, options->uid_base,
				    options->uid_count, err);
	if (rc != 0)
		return rc;
	if (vm_cgroup_create(&broker->cgroup, getppid(), &reason) != 0)
		log_info("no cgroup for this VM: %s", reason.message);
	broker->channel = channel_new(options->core_fd, "core", broker_rows, broker_row_count,
				      &callbacks, broker, err);
	return broker->channel ? 0 : err->code;
}

void broker_stop(struct broker *broker)
{
	uint64_t now_ms = channel_now_ms();

	if (broker->state >= BROKER_STOPPING)
		return;
	broker->state = BROKER_STOPPING;
	broker->stop_deadline_ms = now_ms + BROKER_END_MS;
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++)
		if (broker->processes[i].state != PROCESS_NONE)
			process_kill(&broker->processes[i], broker->stop_deadline_ms);
}

static int poll_timeout_ms(const struct broker *broker)
{
	uint64_t next = channel_next_deadline_ms(broker->channel);
	uint64_t now_ms = channel_now_ms();

	if (broker->state == BROKER_STOPPING && broker->stop_deadline_ms < next)
		next = broker->stop_deadline_ms;
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++) {
		const struct process *process = &broker->processes[i];

		if ((process->state == PROCESS_STARTING || process->state == PROCESS_ENDING) &&
		    process->deadline_ms < next)
			next = process->deadline_ms;
	}
	if (next == UINT64_MAX)
		return -1;
	if (next <= now_ms)
		return 0;
	return next - now_ms > INT_MAX ? INT_MAX : (int)(next - now_ms);
}

static void poll_add(struct pollfd *fds, unsigned *count, int fd, short events)
{
	if (fd >= 0)
		fds[(*count)++] = (struct pollfd){.fd = fd, .events = events};
}

static bool poll_happened(const struct pollfd *fds, unsigned count, int fd)
{
	for (unsigned i = 0; fd >= 0 && i < count; i++)
		if (fds[i].fd == fd)
			return fds[i].revents != 0;
	return false;
}

/* What happened to one process, by name rather than by fd number. */
struct process_news {
	bool logged, reported, violated, ended;
};

/*
 * Collected for all before anything is done about any: a handler closes fds, and the listener that
 * the next one receives may get the number of one that was polled.
 */
static void processes_collect_news(const struct broker *broker, const struct pollfd *fds,
				   unsigned count, struct process_news *news)
{
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++) {
		const struct process *process = &broker->processes[i];

		if (process->state == PROCESS_NONE)
			continue;
		news[i].logged = poll_happened(fds, count, process->log_fd);
		news[i].reported = poll_happened(fds, count, process->launch_fd);
		news[i].violated = poll_happened(fds, count, process->listener_fd);
		news[i].ended = poll_happened(fds, count, process->pidfd);
	}
}

/* Violations before ends, ends last: each may close fds of its own process only. */
static void processes_dispatch(struct broker *broker, const struct pollfd *fds, unsigned count)
{
	struct process_news news[BROKER_MAX_PROCESSES] = {{false, false, false, false}};

	processes_collect_news(broker, fds, count, news);
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++) {
		struct process *process = &broker->processes[i];

		if (news[i].logged)
			broker_on_log(process, PROCESS_LOG_LINES);
		if (news[i].reported)
			broker_on_report(broker, process);
		if (news[i].violated)
			broker_on_violation(broker, process);
		if (news[i].ended)
			broker_on_exit(broker, process);
	}
}

/* One turn. The channel is served last: a new process may reuse fd numbers that were polled. */
static void broker_turn(struct broker *broker)
{
	struct pollfd fds[MAX_POLL_FDS];
	unsigned count = 0;
	uint64_t now_ms;

	poll_add(fds, &count, channel_fd(broker->channel), channel_poll_events(broker->channel));
	poll_add(fds, &count, gateway_channel_fd(broker->gateway),
		 gateway_channel_poll_events(broker->gateway));
	for (unsigned i = 0; i < BROKER_MAX_PROCESSES; i++) {
		const struct process *process = &broker->processes[i];

		if (process->state == PROCESS_NONE)
			continue;
		poll_add(fds, &count, process->pidfd, POLLIN);
		poll_add(fds, &count, process->launch_fd, POLLIN);
		poll_add(fds, &count, process->listener_fd, POLLIN);
		poll_add(fds, &count, process->log_fd, POLLIN);
	}
	if (poll(fds, count, poll_timeout_ms(broker)) < 0)
		return; /* a signal */
	processes_dispatch(broker, fds, count);
	/* Before the core's: what a client asked for is declared before the core asks to open it.
	 */
	if (poll_happened(fds, count, gateway_channel_fd(broker->gateway)))
		gateway_channel_dispatch(broker);
	now_ms = channel_now_ms();
	broker_check_deadlines(broker, now_ms);
	channel_expire(broker->channel, now_ms);
	if (poll_happened(fds, count, channel_fd(broker->channel)))
		(void)channel_dispatch(broker->channel, 0);
}

static bool broker_is_stopped(const struct broker *broker)
{
	return broker->state == BROKER_STOPPING &&
	       (!broker_has_processes(broker) || broker->stop_deadline_ms <= channel_now_ms());
}

void broker_run(struct broker *broker)
{
	while (!broker_is_stopped(broker))
		broker_turn(broker);
	broker->state = BROKER_STOPPED;
}

void broker_destroy(struct broker *broker)
{
	snapshot_directory_close(&broker->snapshot);
	resource_table_destroy(&broker->resources);
	vm_cgroup_destroy(&broker->cgroup);
	if (broker->channel && broker->shutdown_asked && !broker->core_gone)
		(void)channel_reply(broker->channel,
				    BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_SHUTDOWN,
				    broker->shutdown_request_id, NULL, NULL, 0, NULL);
	channel_destroy(broker->channel);
	gateway_channel_close(broker);
	uid_slot_release(&broker->uids);
	kind_table_close(&broker->kinds);
	fd_close(&broker->null_fd);
	fd_close(&broker->own_pidfd);
}
