/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that have no io_uring. */
#include "tests/redteam/hostile_ring.h"

#include <errno.h>

int hostile_ring_prepare(struct error *err)
{
	(void)err;
	return 0;
}

int hostile_ring_fd(void)
{
	return -1;
}

long hostile_ring_submit(uint8_t operation, int fd, const void *address, uint32_t length,
			 bool fixed_file)
{
	(void)operation;
	(void)fd;
	(void)address;
	(void)length;
	(void)fixed_file;
	return -ENOSYS;
}
