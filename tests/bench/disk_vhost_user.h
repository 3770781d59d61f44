/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end of vhost-user, as far as one block device with one ring needs it: hands guest
 * memory and the ring to a device that another program serves on a unix socket.
 */
#ifndef BULKHEAD_TESTS_BENCH_DISK_VHOST_USER_H
#define BULKHEAD_TESTS_BENCH_DISK_VHOST_USER_H

#include "ipc/error.h"
#include "tests/devworkers/common/ring_driver.h"

/*
 * Negotiate VERSION_1, indirect descriptors and EVENT_IDX on the connected socket fd, share ram,
 * start ring as queue 0. -EPROTO with err set when the other side has other ideas.
 */
int disk_vhost_user_start(int fd, const struct guest_ram *ram, const struct ring_driver *ring,
			  struct error *err);

#endif
