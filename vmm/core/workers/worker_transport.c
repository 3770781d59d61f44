/* SPDX-License-Identifier: Apache-2.0 */
/* From the guest's driver to the worker: activation and reset, asked for on a vCPU thread, done on
 * the loop. */
#include <errno.h>
#include <string.h>

#include "ipc/log.h"
#include "vmm/core/workers/worker_device_parts.h"

static void transport_wish_activate(void *opaque, const struct virtio_activation *activation)
{
	struct worker_device *device = opaque;

	pthread_mutex_lock(&device->wishes_lock);
	device->wish_activate = true;
	device->activation = *activation;
	pthread_mutex_unlock(&device->wishes_lock);
	task_post(device->context->tasks, &device->wishes_task);
}

static void transport_wish_reset(void *opaque)
{
	struct worker_device *device = opaque;

	pthread_mutex_lock(&device->wishes_lock);
	device->wish_reset = true;
	device->wish_activate = false;
	pthread_mutex_unlock(&device->wishes_lock);
	task_post(device->context->tasks, &device->wishes_task);
}

const struct virtio_backend_ops worker_transport_ops = {
	.activate = transport_wish_activate,
	.reset = transport_wish_reset,
};

void worker_transport_look_again(struct worker_device *device)
{
	/* The task was cancelled for good: the device is freed without looking at the queue. */
	if (!device->destroying)
		task_post(device->context->tasks, &device->wishes_task);
}

static void transport_on_activated(void *opaque, struct channel_message *message,
				   const struct error *err)
{
	struct worker_device *device = opaque;

	if (message) {
		device->state = WORKER_DEVICE_ACTIVE;
	} else if (device->state != WORKER_DEVICE_FAILED && !device->destroying) {
		/* What the driver set up is not acceptable (rings outside memory, …): its mistake.
		 */
		if (log_ratelimit_allow(&device->needs_reset_log, NULL))
			log_warning("device \"%s\": activation refused: %s", device->id,
				    err->message);
		virtio_pci_set_needs_reset(device->transport);
	}
	worker_device_finish_request(device, message ? NULL : err);
}

static void transport_on_activated_restored(void *opaque, struct channel_message *message,
					    const struct error *err)
{
	struct worker_device *device = opaque;

	if (message)
		device->state = WORKER_DEVICE_QUIESCED;
	worker_device_finish_request(device, message ? NULL : err);
}

static void transport_activate(struct worker_device *device,
			       const struct virtio_activation *activation)
{
	struct error err = ERROR_INIT;

	if (device->state != WORKER_DEVICE_READY) {
		virtio_pci_set_needs_reset(device->transport);
		return;
	}
	device->request_open = true;
	if (worker_request_activate(device, activation, false, transport_on_activated, &err) < 0) {
		device->request_open = false;
		worker_device_fail(device, &err);
	}
}

static void transport_on_reset(void *opaque, struct channel_message *message,
			       const struct error *err)
{
	struct worker_device *device = opaque;
	struct error lost = ERROR_INIT;

	if (message && device->state != WORKER_DEVICE_FAILED) {
		device->state = WORKER_DEVICE_READY;
	} else if (message) {
		worker_was_given_up(device, &lost);
		message = NULL;
		err = &lost;
	} else {
		/* A worker that cannot reset still has guest memory. */
		worker_device_fail(device, err);
	}
	/* Whatever became of the worker, the driver that polls device_status goes on. */
	if (device->transport)
		virtio_pci_reset_done(device->transport);
	worker_device_finish_request(device, message ? NULL : err);
}

static int transport_reset(struct worker_device *device, struct error *err)
{
	return worker_request_drain(device, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_RESET,
				    WORKER_RESET_TIMEOUT_MS, transport_on_reset, err);
}

static void transport_start_reset(struct worker_device *device)
{
	struct error err = ERROR_INIT;

	if (device->state != WORKER_DEVICE_ACTIVE && device->state != WORKER_DEVICE_QUIESCED) {
		virtio_pci_reset_done(device->transport);
		return;
	}
	device->request_open = true;
	if (transport_reset(device, &err) < 0) {
		device->request_open = false;
		worker_device_fail(device, &err);
		virtio_pci_reset_done(device->transport);
	}
}

void worker_transport_carry_out_wishes(void *opaque)
{
	struct worker_device *device = opaque;
	struct virtio_activation activation;
	bool reset, activate;

	if (device->request_open || device->destroying || !device->transport)
		return; /* worker_device_finish_request() looks again */
	pthread_mutex_lock(&device->wishes_lock);
	reset = device->wish_reset;
	activate = device->wish_activate && !reset;
	if (reset)
		device->wish_reset = false;
	else if (activate)
		device->wish_activate = false;
	activation = device->activation;
	pthread_mutex_unlock(&device->wishes_lock);
	if (reset)
		transport_start_reset(device);
	else if (activate)
		transport_activate(device, &activation);
	/* A reset that needed nothing of the worker leaves the way free for the next wish. */
	if (reset && !device->request_open)
		worker_transport_look_again(device);
}

bool worker_device_is_idle(const struct worker_device *device)
{
	struct worker_device *mutable_device = (struct worker_device *)(uintptr_t)device;
	bool idle;

	pthread_mutex_lock(&mutable_device->wishes_lock);
	idle = !device->request_open && !device->wish_reset && !device->wish_activate;
	pthread_mutex_unlock(&mutable_device->wishes_lock);
	return idle;
}

int worker_device_reset(struct worker_device *device, worker_device_done_fn done, void *opaque,
			struct error *err)
{
	if (device->reset_queued)
		return error_set(err, -EBUSY, "device \"%s\" is being reset already", device->id);
	pthread_mutex_lock(&device->wishes_lock);
	device->wish_reset = device->wish_activate = false;
	pthread_mutex_unlock(&device->wishes_lock);
	if (device->request_open) {
		device->reset_queued = true;
		device->reset_done = done;
		device->reset_opaque = opaque;
		return 0;
	}
	device->request_open = true;
	device->done = done;
	device->done_opaque = opaque;
	if (device->state != WORKER_DEVICE_ACTIVE && device->state != WORKER_DEVICE_QUIESCED) {
		worker_device_finish_request(device, NULL);
		return 0;
	}
	if (transport_reset(device, err) < 0) {
		device->request_open = false;
		device->done = NULL;
		return err->code;
	}
	return 0;
}

int worker_device_activate_restored(struct worker_device *device, worker_device_done_fn done,
				    void *opaque, struct error *err)
{
	struct virtio_activation activation;

	if (device->request_open || device->state != WORKER_DEVICE_READY || !device->transport)
		return error_set(err, -EBUSY, "device \"%s\" cannot be activated now", device->id);
	if (!virtio_pci_get_activation(device->transport, &activation)) {
		device->request_open = true;
		device->done = done;
		device->done_opaque = opaque;
		worker_device_finish_request(device, NULL);
		return 0;
	}
	device->request_open = true;
	device->done = done;
	device->done_opaque = opaque;
	if (worker_request_activate(device, &activation, true, transport_on_activated_restored,
				    err) < 0) {
		device->request_open = false;
		device->done = NULL;
		return err->code;
	}
	return 0;
}
