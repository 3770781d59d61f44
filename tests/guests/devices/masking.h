/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that a masked MSI-X vector is held pending and delivered on unmasking. */
#ifndef GUEST_MASKING_H
#define GUEST_MASKING_H

#include "virtqueue.h"

/* Makes the device complete one request on the queue: adds a chain and kicks. */
typedef void masking_submit(void *argument);

/*
 * Runs the checks by the entry's own mask bit and by the function mask. submit(argument) is called
 * once for each; the used elements are popped here.
 */
void masking_check(struct virtqueue *queue, const char *prefix, masking_submit *submit,
		   void *argument);

#endif
