/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/disk_load.h"

#include <errno.h>
#include <time.h>

#include <linux/virtio_blk.h>

#define HEADER_BYTES	  16U
#define MAX_REQUEST_BYTES (1024U * 1024)
#define MAX_SEGMENTS	  (MAX_REQUEST_BYTES / DISK_LOAD_SEGMENT_BYTES + 2)
#define ANSWER_TIMEOUT_MS 10000U
#define NOT_ANSWERED	  0xffU

struct run {
	struct ring_driver *ring;
	const struct disk_buffers *buffers;
	const struct disk_workload *workload;
	uint64_t positions;	/* requests that fit on the disk */
	uint64_t next_position; /* sequential */
	uint64_t random;
	unsigned under_way;
	uint64_t done;
	uint16_t slot_of_head[RING_DRIVER_MAX_SIZE];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void disk_buffers_init(struct disk_buffers *buffers, struct guest_ram *ram)
{
	buffers->ram = ram;
	buffers->headers_gpa =
		guest_ram_allocate(ram, (uint64_t)DISK_LOAD_MAX_DEPTH * HEADER_BYTES, 4096);
	buffers->statuses_gpa = guest_ram_allocate(ram, DISK_LOAD_MAX_DEPTH, 4096);
	buffers->data_gpa =
		guest_ram_allocate(ram, (uint64_t)DISK_LOAD_MAX_DEPTH * MAX_REQUEST_BYTES, 4096);
}

/* xorshift: the same sequence for every device. */
static uint64_t next_random(struct run *run)
{
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return run->random;
}

static uint64_t choose_sector(struct run *run)
{
	uint64_t position = run->workload->sequential ? run->next_position++ : next_random(run);

	return position % run->positions * run->workload->request_bytes / 512;
}

static uint8_t *status_of(const struct run *run, unsigned slot)
{
	return guest_ram_at(run->buffers->ram, run->buffers->statuses_gpa + slot);
}

static void add_request(struct run *run, unsigned slot)
{
	const struct disk_workload *workload = run->workload;
	uint64_t header_gpa = run->buffers->headers_gpa + (uint64_t)slot * HEADER_BYTES;
	uint64_t data_gpa = run->buffers->data_gpa + (uint64_t)slot * workload->request_bytes;
	struct virtio_blk_outhdr *header = guest_ram_at(run->buffers->ram, header_gpa);
	struct ring_segment segments[MAX_SEGMENTS];
	unsigned count = 0;

	header->type = workload->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	header->ioprio = 0;
	header->sector = choose_sector(run);
	*status_of(run, slot) = NOT_ANSWERED;
	segments[count++] = (struct ring_segment){header_gpa, HEADER_BYTES, false};
	for (uint32_t at = 0; at < workload->request_bytes; at += DISK_LOAD_SEGMENT_BYTES) {
		uint32_t left = workload->request_bytes - at;

		segments[count++] = (struct ring_segment){
			data_gpa + at,
			left < DISK_LOAD_SEGMENT_BYTES ? left : DISK_LOAD_SEGMENT_BYTES,
			!workload->write};
	}
	segments[count++] = (struct ring_segment){run->buffers->statuses_gpa + slot, 1, true};
	run->slot_of_head[ring_driver_add(run->ring, segments, count)] = (uint16_t)slot;
	run->under_way++;
}

/* Take what was answered and, until the end, put a new request in the place of each. */
static int take_answers(struct run *run, bool refill, struct error *err)
{
	uint16_t head;

	while (ring_driver_take(run->ring, &head, NULL)) {
		unsigned slot = run->slot_of_head[head];

		if (*status_of(run, slot) != VIRTIO_BLK_S_OK)
			return error_set(err, -EIO, "%s: a request got status %u",
					 run->workload->name, *status_of(run, slot));
		run->under_way--;
		run->done++;
		if (refill)
			add_request(run, slot);
	}
	if (refill)
		(void)ring_driver_kick(run->ring);
	return 0;
}

int disk_load_run(struct ring_driver *ring, const struct disk_buffers *buffers,
		  const struct disk_workload *workload, uint64_t disk_bytes, unsigned duration_ms,
		  double *rate, struct error *err)
{
	struct run run = {.ring = ring,
			  .buffers = buffers,
			  .workload = workload,
			  .positions = disk_bytes / workload->request_bytes,
			  .random = UINT64_C(0x9e3779b97f4a7c15)};
	uint64_t start = now_ns();
	uint64_t end = start + (uint64_t)duration_ms * 1000000U;

	for (unsigned slot = 0; slot < workload->depth; slot++)
		add_request(&run, slot);
	(void)ring_driver_kick(ring);
	while (run.under_way > 0) {
		int status;

		if (!ring_driver_wait(ring, ANSWER_TIMEOUT_MS))
			return error_set(err, -ETIMEDOUT, "%s: no answer", workload->name);
		status = take_answers(&run, now_ns() < end, err);
		if (status)
			return status;
	}
	*rate = (double)run.done * 1e9 / (double)(now_ns() - start);
	return 0;
}
