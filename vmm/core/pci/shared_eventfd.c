/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/shared_eventfd.h"

#include <poll.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

void shared_eventfd_signal(int fd)
{
	static const uint64_t one = 1;
	struct pollfd poller = {.fd = fd, .events = POLLOUT};

	if (poll(&poller, 1, 0) != 1 || !(poller.revents & POLLOUT))
		return;
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

bool shared_eventfd_drain(int fd)
{
	uint64_t count;
	struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};

	return preadv2(fd, &part, 1, -1, RWF_NOWAIT) == sizeof(count);
}
