/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for pages. A worker is hostile: its userfaultfd may be anything, its addresses may be
 * lies, and it holds a copy of the userfaultfd with which it can make our reads block.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/pager/pager.h"
#include "vmm/pager/place.h"

#define BATCH_FAULTS	 8     /* of one process before the others have their turn */
#define READ_PATIENCE_US 50000 /* no read of ours takes long, unless somebody made it block */

static void on_guard(int signal)
{
	(void)signal; /* it is there to interrupt */
}

int pager_guard_reads(struct error *err)
{
	const struct sigaction action = {.sa_handler = on_guard};

	/* Without SA_RESTART: a read that blocks comes back. */
	return sigaction(SIGALRM, &action, NULL) < 0 ? error_set_errno(err, -errno, "sigaction")
						     : 0;
}

static void guard_set(uint32_t patience_us)
{
	/* Again and again: the first one may come before the read has begun. */
	const struct itimerval timer = {.it_value.tv_usec = patience_us,
					.it_interval.tv_usec = patience_us};

	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

static ssize_t read_guarded(const struct pager_process *process, struct uffd_msg *messages,
			    size_t bytes)
{
	ssize_t got;
	int error;

	if (process->id == PAGER_CORE)
		return read(process->userfaultfd, messages, bytes);
	guard_set(READ_PATIENCE_US);
	got = read(process->userfaultfd, messages, bytes);
	error = errno;
	guard_set(0);
	errno = error;
	return got;
}

/* It breaks the rules: serve it no longer, and let the core see to it. */
static void process_fail(struct pager_process *process, const char *reason)
{
	struct pager *pager = process->pager;
	Bulkhead__Pager__ProcessFailed event = BULKHEAD__PAGER__PROCESS_FAILED__INIT;
	char text[128];

	if (!process->watch)
		return;
	loop_unwatch(process->watch);
	process->watch = NULL;
	log_error("%s %s", process->name, reason);
	(void)snprintf(text, sizeof(text), "%s", reason);
	event.process = process->id;
	event.reason = text;
	(void)channel_event(pager->channel, PAGER_MESSAGE(PROCESS_FAILED), &event.base, NULL, 0,
			    NULL);
	pager_watch_channel(pager);
}

static void process_serve(struct pager_process *process, uint64_t address)
{
	struct pager *pager = process->pager;

	for (unsigned i = 0; i < pager->region_count; i++) {
		uint64_t offset = address - process->addresses[i];

		if (address < process->addresses[i] || offset >= pager->regions[i].size_bytes)
			continue;
		pager_serve(pager, process, i, offset);
		return;
	}
	process_fail(process, "asks for a page outside guest memory");
}

static void process_on_message(struct pager_process *process, const struct uffd_msg *message)
{
	if (message->event == UFFD_EVENT_PAGEFAULT) {
		process_serve(process, message->arg.pagefault.address);
		return;
	}
	/* The kernel has given us a descriptor with this one. */
	if (message->event == UFFD_EVENT_FORK)
		close((int)message->arg.fork.ufd);
	process_fail(process, "sends events that are no faults");
}

static void process_on_ready(void *opaque, uint32_t events)
{
	struct pager_process *process = opaque;
	struct uffd_msg messages[BATCH_FAULTS];
	ssize_t got;

	/* How poll(2) of a userfaultfd says that it was made to block. */
	if (events & EPOLLERR) {
		process_fail(process, "has a userfaultfd that blocks");
		return;
	}
	got = read_guarded(process, messages, sizeof(messages));
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || got % (ssize_t)sizeof(messages[0]) != 0) {
		process_fail(process, got < 0 && errno == EINTR ? "has a userfaultfd that blocks"
								: "has a userfaultfd that is none");
		return;
	}
	for (size_t i = 0; i < (size_t)got / sizeof(messages[0]); i++)
		process_on_message(process, &messages[i]);
}

static struct pager_process *process_slot(struct pager *pager, uint32_t id)
{
	for (unsigned i = 0; i < PAGER_MAX_PROCESSES; i++)
		if (pager->processes[i].id == id)
			return &pager->processes[i];
	return NULL;
}

static int process_check_addresses(const struct pager *pager, const uint64_t *addresses,
				   struct error *err)
{
	for (unsigned i = 0; i < pager->region_count; i++) {
		const struct region *region = &pager->regions[i];

		if (!addresses[i] || addresses[i] % region->page_bytes ||
		    addresses[i] > UINT64_MAX - region->size_bytes)
			return error_set(err, -EINVAL, "guest memory at 0x%" PRIx64, addresses[i]);
	}
	return 0;
}

static int process_wake_all(const struct pager *pager, int userfaultfd, const uint64_t *addresses,
			    struct error *err)
{
	for (unsigned i = 0; i < pager->region_count; i++) {
		int ret = place_wake(userfaultfd, addresses[i], pager->regions[i].size_bytes);

		if (ret < 0)
			return error_set_errno(err, ret, "a descriptor that is no userfaultfd");
	}
	return 0;
}

int pager_process_add(struct pager *pager, uint32_t id, const char *name, int userfaultfd,
		      const uint64_t *addresses, struct error *err)
{
	struct pager_process *process = process_slot(pager, 0);
	int flags = fcntl(userfaultfd, F_GETFL);

	if (!process)
		return error_set(err, -ENOSPC, "more than %d processes", PAGER_MAX_PROCESSES);
	if (process_check_addresses(pager, addresses, err) < 0 ||
	    process_wake_all(pager, userfaultfd, addresses, err) < 0)
		return err->code;
	if (flags < 0 || fcntl(userfaultfd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set_errno(err, -errno, "a userfaultfd without its flags");
	*process = (struct pager_process){.pager = pager, .userfaultfd = userfaultfd};
	process->watch =
		loop_watch_fd(pager->loop, userfaultfd, EPOLLIN, process_on_ready, process);
	if (!process->watch)
		return error_set_errno(err, -errno, "watch a userfaultfd");
	process->id = id;
	(void)snprintf(process->name, sizeof(process->name), "%s", name);
	for (unsigned i = 0; i < pager->region_count; i++)
		process->addresses[i] = addresses[i];
	return 0;
}

static void process_close(struct pager_process *process)
{
	loop_unwatch(process->watch);
	fd_close(&process->userfaultfd);
	*process = (struct pager_process){.userfaultfd = -1};
}

void pager_process_remove(struct pager *pager, uint32_t id)
{
	struct pager_process *process = id ? process_slot(pager, id) : NULL;

	if (process)
		process_close(process);
}

void pager_processes_close(struct pager *pager)
{
	for (unsigned i = 0; i < PAGER_MAX_PROCESSES; i++)
		if (pager->processes[i].id)
			process_close(&pager->processes[i]);
}
