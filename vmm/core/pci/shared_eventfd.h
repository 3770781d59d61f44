/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eventfds whose open file is shared with a worker. It can set the count to what it likes and, if
 * its filter let it, take O_NONBLOCK away: the flag says nothing about whether a call blocks, and
 * neither the loop nor a vCPU may wait for a worker. Any thread.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_SHARED_EVENTFD_H
#define BULKHEAD_VMM_CORE_PCI_SHARED_EVENTFD_H

#include <stdbool.h>

/*
 * Count one up; nothing when the count is full, which is a signal that is pending already. The
 * kernel knows no write to an eventfd that never blocks: between the look and the write the count
 * may become full, which only a worker that could also take O_NONBLOCK away (its policy forbids it)
 * could make use of.
 */
void shared_eventfd_signal(int fd);

/* Set the count to zero; true when it was not. Never blocks. */
bool shared_eventfd_drain(int fd);

#endif
