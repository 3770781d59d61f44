/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead-console: one terminal for the guest (docs/devices/console.md). */
#include <errno.h>
#include <signal.h>

#include <linux/virtio_console.h>

#include "devworkers/console/console.h"
#include "devworkers/console/policy.seccomp.h"
#include "ipc/unpack.h"

void console_update_wants(struct console *console)
{
	bool input = console->active && !worker_is_quiescing(console->worker) &&
		     console->pending_bytes < CONSOLE_MAX_PENDING_INPUT;

	backend_want(&console->backend, input, console->held_bytes > 0);
}

void console_continue_later(struct console *console, void (*later)(void *))
{
	/* A deadline that is over: the timer runs in the next turn, after the other events. */
	(void)loop_set_timer(worker_loop(console->worker), 0, later, console);
}

/* ---- from the backend ---- */

static void on_readable(void *owner)
{
	receive_run(owner);
}

static void on_writable(void *owner)
{
	transmit_run(owner);
}

static void on_disconnected(void *owner)
{
	transmit_drop_held(owner);
	/* A chain that waited for the buffer need not wait any more; not from inside a write. */
	console_continue_later(owner, transmit_continue);
}

static const struct backend_callbacks backend_callbacks = {
	.readable = on_readable,
	.writable = on_writable,
	.disconnected = on_disconnected,
};

/* ---- ops ---- */

static int console_prepare(struct worker *worker, struct error *err)
{
	struct console *console = worker_device(worker);

	console->worker = worker;
	console->loss_limit = (struct log_ratelimit)LOG_RATELIMIT_INIT;
	/* Output to a pipe that nobody reads is an error to handle, not the end. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return error_set_errno(err, -errno, "SIGPIPE");
	return 0;
}

static int apply_config(struct console *console, const Bulkhead__Console__Config *config, int *fds,
			unsigned fd_count, struct error *err)
{
	int result = size_set(console, config->columns, config->rows, err);

	if (result < 0)
		return result;
	return backend_open(&console->backend, worker_loop(console->worker), config->mode, fds,
			    fd_count, &backend_callbacks, console, err);
}

static int console_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			     int *fds, unsigned fd_count, struct worker_description *description,
			     struct error *err)
{
	struct console *console = worker_device(worker);
	ProtobufCMessage *message;
	int result = unpack_message(&bulkhead__console__config__descriptor, config, config_bytes,
				    &message, err);

	if (result < 0)
		return error_prefix(err, "configuration");
	result = apply_config(console, (const void *)message, fds, fd_count, err);
	protobuf_c_message_free_unpacked(message, NULL);
	if (result < 0)
		return result;
	description->features = UINT64_C(1) << VIRTIO_CONSOLE_F_SIZE;
	size_fill_description(console, description);
	description->queue_count = CONSOLE_QUEUE_COUNT;
	description->queue_sizes[CONSOLE_RECEIVE_QUEUE] = CONSOLE_QUEUE_SIZE;
	description->queue_sizes[CONSOLE_TRANSMIT_QUEUE] = CONSOLE_QUEUE_SIZE;
	return 0;
}

static int console_activate(struct worker *worker, uint64_t features, struct error *err)
{
	struct console *console = worker_device(worker);

	(void)features;
	(void)err;
	console->active = true;
	if (console->size_is_news)
		size_announce(console);
	console->size_is_news = false;
	return 0;
}

static void console_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	struct console *console = worker_device(worker);

	if (queue->config.index == CONSOLE_RECEIVE_QUEUE)
		receive_run(console);
	else
		transmit_run(console);
}

static int console_drain(struct worker *worker, struct error *err)
{
	struct console *console = worker_device(worker);

	(void)err;
	receive_drain(console);
	transmit_drain(console);
	console_update_wants(console);
	return 0;
}

/* Output that was taken from the guest still goes out; input typed for the old driver does not go
 * to the new one. */
static void console_reset(struct worker *worker)
{
	struct console *console = worker_device(worker);

	console->active = false;
	console->pending_bytes = 0;
	console_update_wants(console);
}

static unsigned console_counters(struct worker *worker, struct worker_counter *counters,
				 unsigned capacity)
{
	const struct console *console = worker_device(worker);

	if (capacity < 3)
		return 0;
	counters[0] = (struct worker_counter){"input_bytes", console->input_bytes};
	counters[1] = (struct worker_counter){"output_bytes", console->output_bytes};
	counters[2] = (struct worker_counter){"lost_bytes", console->lost_bytes};
	return 3;
}

static void console_destroy(struct worker *worker)
{
	struct console *console = worker_device(worker);

	backend_close(&console->backend);
}

static const struct worker_device_ops console_ops = {
	.kind = "console",
	.state_size = sizeof(struct console),
	.seccomp_policy = &console_policy,
	.prepare = console_prepare,
	.configure = console_configure,
	.activate = console_activate,
	.queue_ready = console_queue_ready,
	.drain = console_drain,
	.reset = console_reset,
	.save = state_save,
	.restore = state_restore,
	.update = size_update,
	.counters = console_counters,
	.destroy = console_destroy,
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, &console_ops);
}
