/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pager/place.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include <linux/userfaultfd.h>

/* The kernel asks for another try while the mapping changes, which ours do not do. */
#define MAX_FRUITLESS_TRIES 10000

/* One call. Returns the bytes that were done at the front of the range, or a negative errno. */
static int64_t place_once(int userfaultfd, uint64_t address, const uint8_t *from, uint64_t bytes)
{
	struct uffdio_copy copy = {.dst = address, .src = (uintptr_t)from, .len = bytes};
	struct uffdio_zeropage zero = {.range = {.start = address, .len = bytes}};
	int ret = from ? ioctl(userfaultfd, UFFDIO_COPY, &copy)
		       : ioctl(userfaultfd, UFFDIO_ZEROPAGE, &zero);
	int64_t done = from ? copy.copy : zero.zeropage;

	if (ret == 0)
		return (int64_t)bytes;
	/* A page in the way stops the call: what came before it is done and says so. */
	if (errno == EAGAIN && done > 0 && (uint64_t)done < bytes)
		return done;
	return -errno;
}

/* from NULL: zeros. */
static int place_range(int userfaultfd, uint64_t address, const uint8_t *from, uint64_t bytes,
		       uint32_t page_bytes, uint64_t *placed_bytes)
{
	unsigned fruitless = 0;
	bool was_there = false;
	uint64_t done = 0;

	while (done < bytes) {
		int64_t ret = place_once(userfaultfd, address + done, from ? from + done : NULL,
					 bytes - done);

		if (ret > 0) {
			done += (uint64_t)ret;
			*placed_bytes += (uint64_t)ret;
		} else if (ret == -EEXIST) {
			done += page_bytes;
			was_there = true;
		} else if (ret != -EAGAIN || ++fruitless > MAX_FRUITLESS_TRIES) {
			return (int)ret;
		} else {
			(void)sched_yield();
		}
	}
	/* The kernel wakes for pages that it put there itself; somebody may wait for the others. */
	return was_there ? place_wake(userfaultfd, address, bytes) : 0;
}

int place_copy(int userfaultfd, uint64_t address, const uint8_t *from, uint64_t bytes,
	       uint32_t page_bytes, uint64_t *placed_bytes)
{
	return place_range(userfaultfd, address, from, bytes, page_bytes, placed_bytes);
}

int place_zeros(int userfaultfd, uint64_t address, uint64_t bytes, uint32_t page_bytes,
		uint64_t *placed_bytes)
{
	return place_range(userfaultfd, address, NULL, bytes, page_bytes, placed_bytes);
}

int place_wake(int userfaultfd, uint64_t address, uint64_t bytes)
{
	struct uffdio_range range = {.start = address, .len = bytes};

	return ioctl(userfaultfd, UFFDIO_WAKE, &range) < 0 ? -errno : 0;
}
