/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a registration that another process holds a copy of. Without it, that process would
 * wait for ever for pages that the snapshot has not, since nobody serves them any more.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/userfaultfd.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/pager_client.h"

struct release {
	uv_work_t work;
	int userfaultfd;
	unsigned count;
	struct uffdio_range ranges[GUEST_MEMORY_MAX_REGIONS];
};

static void release_run(struct release *release)
{
	/* What fails is not registered any more, or was a lie: no concern of ours. */
	for (unsigned i = 0; i < release->count; i++)
		(void)ioctl(release->userfaultfd, UFFDIO_UNREGISTER, &release->ranges[i]);
	fd_close(&release->userfaultfd);
}

static void on_work(uv_work_t *work)
{
	release_run(work->data);
}

static void on_done(uv_work_t *work, int status)
{
	struct release *release = work->data;

	(void)status;
	fd_close(&release->userfaultfd);
	free(release);
}

void pager_client_release_process(uv_loop_t *loop, const struct guest_memory *memory,
				  int userfaultfd, const uint64_t *region_addresses,
				  size_t region_count)
{
	struct release *release = calloc(1, sizeof(*release));

	if (!release) {
		close(userfaultfd); /* this process may wait for ever; the others do not */
		return;
	}
	release->work.data = release;
	release->userfaultfd = userfaultfd;
	for (size_t i = 0; i < region_count && i < memory->region_count; i++) {
		release->ranges[i].start = region_addresses[i];
		release->ranges[i].len = memory->regions[i].size_bytes;
		release->count++;
	}
	if (uv_queue_work(loop, &release->work, on_work, on_done) < 0) {
		release_run(release);
		free(release);
	}
}
