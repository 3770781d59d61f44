/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/inline_io.h"

#include <errno.h>
#include <sys/resource.h>

#include "devworkers/blk/device.h"

#define SLOW_WRITE_NS	 5000000U
#define WATCH_NS	 UINT64_C(1000000000)
#define PAUSE_FACTOR	 50U
#define LONGEST_PAUSE_NS UINT64_C(10000000000)

void inline_io_init(struct inline_io *policy, bool cached)
{
	*policy = (struct inline_io){.enabled = cached};
}

int64_t inline_io_read(struct inline_io *policy, int fd, const struct iovec *segments,
		       unsigned count, uint64_t offset_bytes, uint64_t *now_ns)
{
	ssize_t moved;

	if (!policy->enabled || policy->no_read_nowait)
		return 0;
	moved = preadv2(fd, segments, (int)count, (off_t)offset_bytes, RWF_NOWAIT);
	policy->no_read_nowait = moved < 0 && errno == EOPNOTSUPP;
	*now_ns = blk_now_ns();
	return moved > 0 ? moved : 0;
}

/* How often this thread waited for something, as opposed to having lost the processor. */
static long voluntary_switches(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

static void pause_writes(struct inline_io *policy, uint64_t duration_ns, uint64_t now_ns)
{
	uint64_t pause_ns = duration_ns * PAUSE_FACTOR;

	if (pause_ns > LONGEST_PAUSE_NS)
		pause_ns = LONGEST_PAUSE_NS;
	policy->write_pause_until_ns = now_ns + pause_ns;
}

static ssize_t write_watched(struct inline_io *policy, int fd, const struct iovec *segments,
			     unsigned count, uint64_t offset_bytes, uint64_t *now_ns)
{
	uint64_t began_ns = *now_ns;
	bool watched = began_ns < policy->watch_until_ns;
	long switches = watched ? voluntary_switches() : 0;
	ssize_t moved = pwritev2(fd, segments, (int)count, (off_t)offset_bytes, 0);

	*now_ns = blk_now_ns();
	if (*now_ns - began_ns < SLOW_WRITE_NS)
		return moved;
	if (watched && voluntary_switches() != switches)
		pause_writes(policy, *now_ns - began_ns, *now_ns);
	policy->watch_until_ns = *now_ns + WATCH_NS;
	return moved;
}

int64_t inline_io_write(struct inline_io *policy, int fd, const struct iovec *segments,
			unsigned count, uint64_t offset_bytes, uint64_t *now_ns)
{
	ssize_t moved = -1;

	if (!policy->enabled || *now_ns < policy->write_pause_until_ns)
		return 0;
	if (!policy->no_write_nowait) {
		moved = pwritev2(fd, segments, (int)count, (off_t)offset_bytes, RWF_NOWAIT);
		policy->no_write_nowait = moved < 0 && errno == EOPNOTSUPP;
		*now_ns = blk_now_ns();
		if (!policy->no_write_nowait)
			return moved > 0 ? moved : 0;
	}
	moved = write_watched(policy, fd, segments, count, offset_bytes, now_ns);
	/* An error comes again from the engine, which is where it is handled. */
	return moved > 0 ? moved : 0;
}
