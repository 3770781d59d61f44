/* SPDX-License-Identifier: Apache-2.0 */
#include "masking.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "devices.h"
#include "guest.h"

#define COMPLETION_TIMEOUT_US 2000000
#define PENDING_TIMEOUT_US    200000
#define QUIET_US	      2000

struct masking_case {
	struct virtqueue *queue;
	uint32_t count_before;
};

static bool masking_is_used(void *argument)
{
	const struct masking_case *test = argument;

	return virtqueue_has_used(test->queue);
}

static bool masking_is_pending(void *argument)
{
	const struct masking_case *test = argument;

	return msix_is_pending(&test->queue->device->msix, virtqueue_msix_entry(test->queue));
}

static bool masking_is_delivered(void *argument)
{
	const struct masking_case *test = argument;

	return virtqueue_interrupt_count(test->queue) != test->count_before;
}

static void masking_set(struct virtqueue *queue, bool by_function, bool masked)
{
	if (by_function) {
		msix_set_control(&queue->device->msix, true, masked);
	} else {
		msix_set_masked(&queue->device->msix, virtqueue_msix_entry(queue), masked);
	}
}

/* Returns NULL or what went wrong. */
static const char *masking_run(struct virtqueue *queue, bool by_function, masking_submit *submit,
			       void *argument)
{
	struct masking_case test = {.queue = queue,
				    .count_before = virtqueue_interrupt_count(queue)};
	const char *problem = NULL;

	masking_set(queue, by_function, true);
	submit(argument);
	if (!clock_wait_until(masking_is_used, &test, COMPLETION_TIMEOUT_US)) {
		problem = "no completion while masked";
	} else if (!clock_wait_until(masking_is_pending, &test, PENDING_TIMEOUT_US)) {
		problem = "the pending bit is not set";
	}
	cpu_enable_interrupts();
	clock_delay_us(QUIET_US);
	cpu_disable_interrupts();
	if (problem == NULL && masking_is_delivered(&test)) {
		problem = "an interrupt came through the mask";
	}
	masking_set(queue, by_function, false);
	if (!clock_wait_until(masking_is_delivered, &test, COMPLETION_TIMEOUT_US) &&
	    problem == NULL) {
		problem = "no interrupt after unmasking";
	}
	if (problem == NULL && masking_is_pending(&test)) {
		problem = "the pending bit stays set after delivery";
	}
	if (problem == NULL && virtqueue_interrupt_count(queue) != test.count_before + 1) {
		problem = "more than one interrupt after unmasking";
	}
	return problem;
}

static void masking_report(const char *prefix, const char *check, const char *problem)
{
	if (problem == NULL) {
		test_ok(devices_name(prefix, check));
	} else {
		test_fail(devices_name(prefix, check), "%s", problem);
	}
}

static void masking_drain(struct virtqueue *queue)
{
	uint32_t length;

	while (virtqueue_has_used(queue)) {
		virtqueue_pop_used(queue, &length);
	}
}

void masking_check(struct virtqueue *queue, const char *prefix, masking_submit *submit,
		   void *argument)
{
	const char *problem = masking_run(queue, false, submit, argument);

	masking_drain(queue);
	masking_report(prefix, "masked_vector_is_held_and_delivered_on_unmask", problem);
	problem = masking_run(queue, true, submit, argument);
	masking_drain(queue);
	masking_report(prefix, "masked_function_is_held_and_delivered_on_unmask", problem);
}
