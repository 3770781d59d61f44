/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the entropy device. */
#include <stddef.h>

#include "devices.h"
#include "guest.h"
#include "masking.h"
#include "page_alloc.h"
#include "string.h"
#include "virtio_rng.h"

#define READ_BYTES 64

static bool rng_is_zero(const unsigned char *bytes, int count)
{
	for (int i = 0; i < count; i++) {
		if (bytes[i] != 0) {
			return false;
		}
	}
	return true;
}

static void rng_check_reads(struct virtio_rng *rng, unsigned char *first, const char *prefix)
{
	unsigned char *second = first + READ_BYTES;
	int first_count;
	int second_count;

	memset(first, 0, 2 * (size_t)READ_BYTES);
	first_count = rng_read(rng, first, READ_BYTES);
	second_count = rng_read(rng, second, READ_BYTES);
	if (!test_check(devices_name(prefix, "reads_complete_with_an_interrupt"),
			first_count > 0 && second_count > 0, "time-out or wrong length")) {
		return;
	}
	test_check(devices_name(prefix, "bytes_are_not_all_zero"),
		   !rng_is_zero(first, first_count) && !rng_is_zero(second, second_count),
		   "all zero");
	test_check(devices_name(prefix, "two_reads_differ"), memcmp(first, second, READ_BYTES) != 0,
		   "the same bytes twice");
}

static void rng_check_many(struct virtio_rng *rng, unsigned char *data, const char *prefix)
{
	for (int i = 0; i < 3 * rng->queue.size; i++) {
		if (rng_read(rng, data, 16) <= 0) {
			test_fail(devices_name(prefix, "ring_wraps_around"), "read %d failed", i);
			return;
		}
	}
	test_ok(devices_name(prefix, "ring_wraps_around"));
}

struct rng_submission {
	struct virtio_rng *rng;
	unsigned char *data;
};

static void rng_submit(void *argument)
{
	struct rng_submission *submission = argument;
	struct virtqueue_segment segment = {submission->data, READ_BYTES, true};

	virtqueue_add(&submission->rng->queue, &segment, 1);
	virtqueue_kick(&submission->rng->queue);
}

static void rng_run(struct virtio_rng *rng, unsigned char *data, const char *prefix,
		    uint64_t features)
{
	struct rng_submission submission = {rng, data};
	const char *problem = rng_start(rng, features);

	if (problem != NULL) {
		test_fail(devices_name(prefix, "starts"), "%s", problem);
		return;
	}
	test_ok(devices_name(prefix, "starts"));
	rng_check_reads(rng, data, prefix);
	rng_check_many(rng, data, prefix);
	masking_check(&rng->queue, prefix, rng_submit, &submission);
}

void devices_check_rng(const struct virtio_device *device, uint32_t index)
{
	static struct virtio_rng rng;
	unsigned char *data = page_alloc(1);

	(void)index;
	rng = (struct virtio_rng){.device = *device};
	devices_check_transport(&rng.device, "rng");
	rng_run(&rng, data, "rng.plain", 0);
	rng_run(&rng, data, "rng.event_idx", VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	test_check("rng.resets_at_the_end", virtio_reset(&rng.device),
		   "device_status did not become 0");
}
