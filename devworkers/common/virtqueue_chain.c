/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking chains off the available ring. Everything read here is the driver's and may change while
 * it is read; each field is copied once, the copy is checked and used.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "devworkers/common/virtqueue.h"
#include "devworkers/common/virtqueue_ring.h"

/* The table that the walk is in: the queue's own, or an indirect one. */
struct descriptor_table {
	const void *descriptors;
	uint32_t count;
	bool indirect;
};

static int enter_indirect(const struct virtqueue *queue, const struct vring_descriptor *descriptor,
			  struct descriptor_table *table, struct error *err)
{
	const unsigned index = queue->config.index;
	uint32_t count = descriptor->length / sizeof(struct vring_descriptor);

	if (!queue->config.indirect)
		return error_set(err, -EPROTO, "queue %u: indirect descriptor without the feature",
				 index);
	if (table->indirect)
		return error_set(err, -EPROTO, "queue %u: indirect table inside an indirect table",
				 index);
	if (descriptor->flags & VRING_DESCRIPTOR_NEXT)
		return error_set(err, -EPROTO, "queue %u: indirect descriptor with a next one",
				 index);
	if (count == 0 || descriptor->length % sizeof(struct vring_descriptor) != 0 ||
	    count > queue->config.size)
		return error_set(err, -EPROTO, "queue %u: indirect table of %" PRIu32 " bytes",
				 index, descriptor->length);
	table->descriptors =
		guest_memory_translate(queue->memory, descriptor->address, descriptor->length);
	if (!table->descriptors)
		return error_set(err, -EPROTO,
				 "queue %u: indirect table 0x%" PRIx64 "+%" PRIu32
				 " is not in guest memory",
				 index, descriptor->address, descriptor->length);
	table->count = count;
	table->indirect = true;
	return 0;
}

static int add_bytes(uint64_t *sum, uint32_t length)
{
	if (*sum + length > UINT32_MAX)
		return -EPROTO;
	*sum += length;
	return 0;
}

static int add_segment(const struct virtqueue *queue, const struct vring_descriptor *descriptor,
		       struct virtqueue_chain *chain, struct error *err)
{
	unsigned count = (unsigned)chain->readable_count + chain->writable_count;
	bool writable = descriptor->flags & VRING_DESCRIPTOR_WRITE;
	const unsigned index = queue->config.index;
	void *hva;

	if (count >= queue->config.size || count >= chain->segment_capacity)
		return error_set(err, -EPROTO,
				 "queue %u: the chain at descriptor %u loops or is longer than %u",
				 index, chain->head, count);
	if (!writable && chain->writable_count > 0)
		return error_set(err, -EPROTO,
				 "queue %u: the chain at descriptor %u has a readable part after "
				 "a writable one",
				 index, chain->head);
	hva = guest_memory_translate(queue->memory, descriptor->address, descriptor->length);
	if (!hva)
		return error_set(err, -EPROTO,
				 "queue %u: buffer 0x%" PRIx64 "+%" PRIu32
				 " is empty or not in guest memory",
				 index, descriptor->address, descriptor->length);
	if (add_bytes(writable ? &chain->writable_bytes : &chain->readable_bytes,
		      descriptor->length) < 0)
		return error_set(err, -EPROTO,
				 "queue %u: the chain at descriptor %u is longer than 4 GiB", index,
				 chain->head);
	chain->segments[count] = (struct iovec){hva, descriptor->length};
	if (writable)
		chain->writable_count++;
	else
		chain->readable_count++;
	return 0;
}

/* Bounded: every turn but one adds a segment, and add_segment() counts them. */
static int walk_chain(const struct virtqueue *queue, struct virtqueue_chain *chain,
		      struct error *err)
{
	struct descriptor_table table = {queue->descriptors, queue->config.size, false};
	uint32_t index = chain->head;

	for (;;) {
		struct vring_descriptor descriptor =
			vring_read_descriptor(table.descriptors, index);
		int ret;

		if (descriptor.flags & VRING_DESCRIPTOR_INDIRECT) {
			ret = enter_indirect(queue, &descriptor, &table, err);
			if (ret < 0)
				return ret;
			index = 0;
			continue;
		}
		ret = add_segment(queue, &descriptor, chain, err);
		if (ret < 0)
			return ret;
		if (!(descriptor.flags & VRING_DESCRIPTOR_NEXT))
			break;
		index = descriptor.next;
		if (index >= table.count)
			return error_set(err, -EPROTO, "queue %u: next descriptor %u of %u",
					 queue->config.index, index, table.count);
	}
	chain->readable = chain->segments;
	chain->writable = chain->segments + chain->readable_count;
	return 0;
}

/* 1: *head is the next one; 0: none; it is not consumed yet. */
static int peek_head(struct virtqueue *queue, uint16_t *head, struct error *err)
{
	const uint16_t size = queue->config.size;

	if (queue->replay_next < queue->replay_count) {
		*head = queue->replay[queue->replay_next];
		return 1;
	}
	if (queue->available_seen == queue->next_available) {
		uint16_t index = vring_load_available_index(queue->available);
		uint16_t ahead = (uint16_t)(index - queue->next_available);

		if (ahead == 0)
			return 0;
		if (ahead > size)
			return error_set(err, -EPROTO,
					 "queue %u: available index jumps by %u in a queue of %u",
					 queue->config.index, ahead, size);
		queue->available_seen = index;
	}
	*head = vring_load(
		&queue->available[VRING_AVAILABLE_RING + (queue->next_available & (size - 1))]);
	return 1;
}

static int check_head(const struct virtqueue *queue, uint16_t head, struct error *err)
{
	if (head >= queue->config.size)
		return error_set(err, -EPROTO, "queue %u: head descriptor %u of %u",
				 queue->config.index, head, queue->config.size);
	/* Devices may keep a table by head: twice the same would mix two requests. */
	if (queue->in_flight_heads[head / 64] & (UINT64_C(1) << (head % 64)))
		return error_set(err, -EPROTO,
				 "queue %u: descriptor %u is available again while in use",
				 queue->config.index, head);
	return 0;
}

static void consume_head(struct virtqueue *queue, uint16_t head)
{
	if (queue->replay_next < queue->replay_count) {
		queue->replay_next++; /* recorded already, by the worker that popped it first */
	} else {
		if (queue->inflight)
			inflight_queue_record(queue->inflight, head);
		queue->next_available++;
		queue->pops_after_replay++;
	}
	queue->in_flight_heads[head / 64] |= UINT64_C(1) << (head % 64);
	queue->in_flight++;
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain, struct error *err)
{
	uint16_t head = 0;
	int ret;

	if (!queue->enabled || queue->broken)
		return 0;
	virtqueue_take_over(queue);
	ret = peek_head(queue, &head, err);
	if (ret == 0)
		return 0;
	if (ret > 0)
		ret = check_head(queue, head, err);
	if (ret == 0) {
		chain->head = head;
		chain->readable_count = chain->writable_count = 0;
		chain->readable_bytes = chain->writable_bytes = 0;
		ret = walk_chain(queue, chain, err);
	}
	if (ret < 0) {
		queue->broken = true;
		return ret;
	}
	consume_head(queue, head);
	return 1;
}

void virtqueue_unpop(struct virtqueue *queue, uint16_t head)
{
	uint64_t bit = UINT64_C(1) << (head % 64);

	assert(head < queue->config.size && (queue->in_flight_heads[head / 64] & bit));
	queue->in_flight_heads[head / 64] &= ~bit;
	queue->in_flight--;
	if (queue->pops_after_replay == 0) {
		assert(queue->replay_next > 0);
		queue->replay[--queue->replay_next] = head;
		return;
	}
	queue->pops_after_replay--;
	queue->next_available--;
	if (queue->inflight)
		inflight_queue_forget(queue->inflight, head);
}

void virtqueue_chain_mark_dirty(const struct virtqueue *queue, const struct virtqueue_chain *chain,
				uint64_t written_bytes)
{
	if (!queue->memory->dirty_bitmap)
		return;
	for (unsigned i = 0; i < chain->writable_count && written_bytes > 0; i++) {
		size_t length = chain->writable[i].iov_len;

		if (length > written_bytes)
			length = written_bytes;
		guest_memory_mark_dirty(queue->memory, chain->writable[i].iov_base, length);
		written_bytes -= length;
	}
}
