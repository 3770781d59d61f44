/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker may be killed between any two instructions. What it stored before is visible to the
 * next one, so only the order of the stores matters: the release stores below keep the compiler
 * (and another machine's store buffer) from changing it.
 */
#include "devworkers/common/inflight_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define INFLIGHT_MAGIC	 0x4c464e49U /* "INFL" */
#define INFLIGHT_VERSION 1U

#define INFLIGHT_MAX_QUEUES	64U
#define INFLIGHT_MAX_QUEUE_SIZE 32768U

enum entry_state {
	ENTRY_FREE = 0,
	ENTRY_POPPED = 1,     /* the request may have had any part of its effects */
	ENTRY_COMPLETING = 2, /* effects done; published when the ring is past used_index */
};

struct inflight_entry {
	uint64_t sequence; /* order of popping */
	uint16_t used_index;
	uint8_t state;
	uint8_t reserved[5];
};

struct shared_queue {
	uint64_t next_sequence;
	uint32_t started;
	uint32_t reserved;
	struct inflight_entry entries[];
};

struct inflight_header {
	uint32_t magic, version;
	uint32_t queue_count, queue_size;
	uint8_t reserved[48];
};

/* Of this process: what was checked at open is not read from the shared memory again. */
struct inflight_queue {
	struct shared_queue *shared;
	struct inflight_entry *entries;
	unsigned size;
};

struct inflight_log {
	struct inflight_header *header;
	size_t bytes;
	unsigned queue_count, queue_size;
	struct inflight_queue queues[INFLIGHT_MAX_QUEUES];
};

static size_t queue_bytes(unsigned queue_size)
{
	return sizeof(struct shared_queue) + queue_size * sizeof(struct inflight_entry);
}

size_t inflight_log_bytes(unsigned queue_count, unsigned queue_size)
{
	return sizeof(struct inflight_header) + queue_count * queue_bytes(queue_size);
}

static int check_file(int fd, size_t bytes, struct error *err)
{
	struct stat status;
	int seals;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, -errno, "in-flight log");
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)bytes)
		return error_set(err, -EINVAL, "in-flight log is smaller than %zu bytes", bytes);
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return error_set(err, -EINVAL, "in-flight log is not sealed against shrinking");
	return 0;
}

/* The log survives the worker that wrote it, and that one may have been taken over. */
static int adopt_header(struct inflight_log *log, struct error *err)
{
	struct inflight_header *header = log->header;

	if (header->magic == 0 && header->version == 0) {
		header->version = INFLIGHT_VERSION;
		header->queue_count = log->queue_count;
		header->queue_size = log->queue_size;
		__atomic_store_n(&header->magic, INFLIGHT_MAGIC, __ATOMIC_RELEASE);
	}
	if (header->magic != INFLIGHT_MAGIC || header->version != INFLIGHT_VERSION)
		return error_set(err, -EINVAL, "in-flight log has no header that is known");
	if (header->queue_count != log->queue_count || header->queue_size != log->queue_size)
		return error_set(err, -EINVAL, "in-flight log is for %u queues of %u, not %u of %u",
				 header->queue_count, header->queue_size, log->queue_count,
				 log->queue_size);
	return 0;
}

static void find_queues(struct inflight_log *log)
{
	uint8_t *part = (uint8_t *)(log->header + 1);

	for (unsigned i = 0; i < log->queue_count; i++) {
		struct shared_queue *shared = (void *)(part + i * queue_bytes(log->queue_size));

		log->queues[i] = (struct inflight_queue){shared, shared->entries, log->queue_size};
	}
}

struct inflight_log *inflight_log_open(int fd, unsigned queue_count, unsigned queue_size,
				       struct error *err)
{
	struct inflight_log *log;
	size_t bytes;
	void *mapping;

	if (queue_count == 0 || queue_count > INFLIGHT_MAX_QUEUES || queue_size == 0 ||
	    queue_size > INFLIGHT_MAX_QUEUE_SIZE) {
		error_set(err, -EINVAL, "in-flight log for %u queues of %u", queue_count,
			  queue_size);
		return NULL;
	}
	bytes = inflight_log_bytes(queue_count, queue_size);
	if (check_file(fd, bytes, err) < 0)
		return NULL;
	log = calloc(1, sizeof(*log));
	if (!log) {
		error_set_errno(err, -ENOMEM, "in-flight log");
		return NULL;
	}
	mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED) {
		error_set_errno(err, -errno, "map in-flight log");
		free(log);
		return NULL;
	}
	log->header = mapping;
	log->bytes = bytes;
	log->queue_count = queue_count;
	log->queue_size = queue_size;
	find_queues(log);
	if (adopt_header(log, err) < 0) {
		inflight_log_close(log);
		return NULL;
	}
	return log;
}

void inflight_log_close(struct inflight_log *log)
{
	if (!log)
		return;
	munmap(log->header, log->bytes);
	free(log);
}

struct inflight_queue *inflight_log_queue(struct inflight_log *log, unsigned index)
{
	return index < log->queue_count ? &log->queues[index] : NULL;
}

unsigned inflight_queue_size(const struct inflight_queue *queue)
{
	return queue->size;
}

bool inflight_queue_is_started(const struct inflight_queue *queue)
{
	return queue->shared->started != 0;
}

void inflight_queue_start(struct inflight_queue *queue)
{
	__atomic_store_n(&queue->shared->started, 1, __ATOMIC_RELEASE);
}

void inflight_queue_record(struct inflight_queue *queue, uint16_t head)
{
	struct inflight_entry *entry = &queue->entries[head];

	entry->sequence = queue->shared->next_sequence++;
	__atomic_store_n(&entry->state, ENTRY_POPPED, __ATOMIC_RELEASE);
	/* The request's own stores stay behind the record. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void inflight_queue_forget(struct inflight_queue *queue, uint16_t head)
{
	__atomic_store_n(&queue->entries[head].state, ENTRY_FREE, __ATOMIC_RELEASE);
}

void inflight_queue_complete_begin(struct inflight_queue *queue, uint16_t head, uint16_t used_index)
{
	struct inflight_entry *entry = &queue->entries[head];

	entry->used_index = used_index;
	__atomic_store_n(&entry->state, ENTRY_COMPLETING, __ATOMIC_RELEASE);
}

void inflight_queue_complete_done(struct inflight_queue *queue, uint16_t head)
{
	__atomic_store_n(&queue->entries[head].state, ENTRY_FREE, __ATOMIC_RELEASE);
}

void inflight_queue_clear(struct inflight_queue *queue)
{
	__atomic_store_n(&queue->shared->started, 0, __ATOMIC_RELEASE);
	queue->shared->next_sequence = 0;
	for (unsigned i = 0; i < queue->size; i++)
		queue->entries[i].state = ENTRY_FREE;
}

/*
 * In the order they were popped; mostly they are. Not by qsort(), which asks the kernel how much
 * memory there is before it sorts more than 1 KiB, and no policy allows that.
 */
static void sort_by_sequence(const struct inflight_queue *queue, uint16_t *heads, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint16_t head = heads[i];
		uint64_t sequence = queue->entries[head].sequence;
		unsigned at = i;

		for (; at > 0 && queue->entries[heads[at - 1]].sequence > sequence; at--)
			heads[at] = heads[at - 1];
		heads[at] = head;
	}
}

static bool is_published(const struct inflight_entry *entry, uint16_t ring_used_index)
{
	/* Published when the ring's index is past the entry, in 16-bit circular order. */
	return entry->state == ENTRY_COMPLETING &&
	       (uint16_t)(ring_used_index - entry->used_index - 1) < 0x8000;
}

unsigned inflight_queue_recover(struct inflight_queue *queue, uint16_t ring_used_index,
				uint16_t *heads)
{
	unsigned count = 0;

	for (unsigned i = 0; i < queue->size; i++) {
		struct inflight_entry *entry = &queue->entries[i];

		if (entry->state == ENTRY_FREE)
			continue;
		if (is_published(entry, ring_used_index)) {
			inflight_queue_complete_done(queue, (uint16_t)i);
			continue;
		}
		entry->state = ENTRY_POPPED;
		heads[count++] = (uint16_t)i;
	}
	sort_by_sequence(queue, heads, count);
	return count;
}
