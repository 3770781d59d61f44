/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/host/host_text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipc/cleanup.h"

int host_read_text(const char *path, char *text, size_t text_bytes)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (used + 1 < text_bytes) {
		ssize_t got = read(fd, text + used, text_bytes - 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = errno;

			text[0] = '\0';
			return -error;
		}
		if (got == 0)
			break;
		used += (size_t)got;
	}
	if (used && text[used - 1] == '\n')
		used--;
	text[used] = '\0';
	return 0;
}
