/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pager/pager.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/log.h"

static unsigned pager_state(void *owner)
{
	const struct pager *pager = owner;

	return pager->configured ? BULKHEAD__PAGER__STATE__STATE_CONFIGURED
				 : BULKHEAD__PAGER__STATE__STATE_STARTING;
}

static void pager_on_closed(void *owner, const struct error *err)
{
	struct pager *pager = owner;

	loop_channel_unwatch(&pager->channel_watch);
	if (err->code != -ECONNRESET)
		log_error("%s", err->message);
	loop_stop(pager->loop, err->code == -ECONNRESET ? 0 : err->code);
}

static const struct channel_callbacks callbacks = {
	.state = pager_state,
	.closed = pager_on_closed,
};

void pager_watch_channel(struct pager *pager)
{
	loop_channel_update(&pager->channel_watch);
}

int pager_init(struct pager *pager, int core_fd, struct error *err)
{
	*pager = (struct pager){.stats = BULKHEAD__PAGER__STATS__INIT};
	for (unsigned i = 0; i < PAGER_MAX_PROCESSES; i++)
		pager->processes[i].userfaultfd = -1;
	pager->loop = loop_new();
	if (!pager->loop) {
		close(core_fd);
		return error_set_errno(err, -errno, "event loop");
	}
	loop_set_idle(pager->loop, pager_prefault_step, pager);
	pager->channel =
		channel_new(core_fd, "core", pager_rows, pager_row_count, &callbacks, pager, err);
	if (!pager->channel) {
		close(core_fd);
		return err->code;
	}
	if (loop_channel_watch(&pager->channel_watch, pager->loop, pager->channel, NULL, NULL,
			       err) < 0)
		return err->code;
	return pager_guard_reads(err);
}

int pager_run(struct pager *pager)
{
	return loop_run(pager->loop);
}

void pager_destroy(struct pager *pager)
{
	if (!pager->loop)
		return;
	pager_processes_close(pager);
	loop_channel_unwatch(&pager->channel_watch);
	channel_destroy(pager->channel);
	loop_destroy(pager->loop);
	for (unsigned i = 0; i < pager->region_count; i++)
		region_destroy(&pager->regions[i]);
	if (pager->index)
		munmap(pager->index, pager->index_bytes);
	free(pager->buffer);
	free((void *)(uintptr_t)pager->zeros);
	*pager = (struct pager){0};
}
