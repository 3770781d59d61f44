/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/loop_device.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/loop.h>

#include "ipc/cleanup.h"

int loop_device_make(int image_fd, uint32_t block_bytes, char *path, size_t bytes)
{
	struct loop_config config = {.fd = (uint32_t)image_fd,
				     .block_size = block_bytes,
				     .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	cleanup_fd int device = -1;

	if (number < 0)
		return -1;
	(void)snprintf(path, bytes, "/dev/loop%d", number);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, LOOP_CONFIGURE, &config) != 0)
		return -1;
	return fd_steal(&device);
}
