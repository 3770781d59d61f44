/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/control_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc/cleanup.h"

int control_notify_open(int *fd, struct error *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int opened = -1;
	size_t length = path ? strlen(path) : 0;

	*fd = -1;
	if (!path || !length)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
		return error_set(err, -EINVAL, "NOTIFY_SOCKET: not an address of a unix socket");
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract */
	opened = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (opened < 0 || connect(opened, (const struct sockaddr *)&address,
				  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		return error_set_errno(err, -errno, "NOTIFY_SOCKET %s", path);
	(void)unsetenv("NOTIFY_SOCKET");
	*fd = fd_steal(&opened);
	return 0;
}

void control_notify_send(int fd, const char *text)
{
	char copy[64];
	struct iovec part = {.iov_base = copy, .iov_len = strnlen(text, sizeof(copy))};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memcpy(copy, text, part.iov_len);
	if (fd >= 0)
		(void)sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
