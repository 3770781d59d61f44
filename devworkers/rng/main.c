/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead-rng: random bytes for the guest (docs/devices/rng.md). */
#include <errno.h>

#include "devworkers/rng/policy.seccomp.h"
#include "devworkers/rng/rng.h"
#include "ipc/unpack.h"
#include "proto/rng.pb-c.h"

static int take_source(struct rng *rng, bool has_source, int *fds, unsigned fd_count,
		       struct error *err)
{
	if (fd_count != (has_source ? 1U : 0U))
		return error_set(err, -EINVAL, "%u file descriptors, expected %u", fd_count,
				 has_source ? 1U : 0U);
	return has_source ? rng_source_open(rng, &fds[0], err) : 0;
}

static int rng_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			 int *fds, unsigned fd_count, struct worker_description *description,
			 struct error *err)
{
	ProtobufCMessage *message;
	const Bulkhead__Rng__Config *parsed;
	int result = unpack_message(&bulkhead__rng__config__descriptor, config, config_bytes,
				    &message, err);

	if (result < 0)
		return error_prefix(err, "configuration");
	parsed = (const void *)message;
	result = take_source(worker_device(worker), parsed->has_source, fds, fd_count, err);
	protobuf_c_message_free_unpacked(message, NULL);
	if (result < 0)
		return result;
	description->queue_count = 1;
	description->queue_sizes[0] = RNG_QUEUE_SIZE;
	return 0;
}

static unsigned rng_counters(struct worker *worker, struct worker_counter *counters,
			     unsigned capacity)
{
	const struct rng *rng = worker_device(worker);

	if (capacity < 2)
		return 0;
	counters[0] = (struct worker_counter){"requests", rng->requests};
	counters[1] = (struct worker_counter){"bytes", rng->bytes};
	return 2;
}

static void rng_destroy(struct worker *worker)
{
	struct rng *rng = worker_device(worker);

	loop_unwatch(rng->source_watch);
	rng->source_watch = NULL;
	rng_source_close(rng);
}

/*
 * No state of its own: bytes that were drawn belong to the guest, the next ones come from this
 * host. So there is nothing to save, and a clone draws other bytes than its siblings.
 */
static const struct worker_device_ops rng_ops = {
	.kind = "rng",
	.state_size = sizeof(struct rng),
	.seccomp_policy = &rng_policy,
	.configure = rng_configure,
	.queue_ready = rng_queue_ready,
	.drain = rng_queue_drain,
	.counters = rng_counters,
	.destroy = rng_destroy,
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, &rng_ops);
}
