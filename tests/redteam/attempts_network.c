/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching the network and the sockets of other processes: the driver listens on three. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char buffer[256];
static struct sockaddr_un somewhere = {.sun_family = AF_UNIX, .sun_path = "\0escaped"};

static long connect_to(int fd, const void *address, size_t bytes)
{
	if (fd < 0)
		return -errno;
	return connect(fd, address, (socklen_t)bytes) == 0 ? 0 : -errno;
}

static long connect_tcp(const struct order *order)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(order->tcp_port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect_to(socket(AF_INET, SOCK_STREAM, 0), &address, sizeof(address));
}

static long connect_abstract(const struct order *order)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(order->abstract_socket);

	memcpy(address.sun_path + 1, order->abstract_socket, length);
	return connect_to(socket(AF_UNIX, SOCK_STREAM, 0), &address,
			  offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static long connect_unix(const struct order *order)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, order->unix_socket, sizeof(order->unix_socket));
	return connect_to(socket(AF_UNIX, SOCK_STREAM, 0), &address, sizeof(address));
}

static long connect_reused(const struct order *order)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, order->unix_socket, sizeof(order->unix_socket));
	return connect_to(3, &address, sizeof(address));
}

/* The core made the worker's socket, in the host's network namespace: what is done to that socket
 * itself is not confined by the worker's own, but by the filter alone. */
const struct attempt attempts_network[] = {
	RUN("connect to the host's TCP", BY_FILTER, connect_tcp),
	RUN("connect to an abstract socket", BY_FILTER, connect_abstract),
	RUN("connect to a unix socket", BY_FILTER, connect_unix),
	RUN("connect the core's socket anew", BY_FILTER, connect_reused),
	CALL("socket: netlink", BY_FILTER_ONLY, socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	CALL("socket: packet", BY_FILTER, socket, AF_PACKET, SOCK_RAW, 0),
	CALL("socket: raw", BY_FILTER, socket, AF_INET, SOCK_RAW, IPPROTO_ICMP),
	CALL("socket: vsock", BY_FILTER_ONLY, socket, AF_VSOCK, SOCK_STREAM, 0),
	CALL("socket: alg", BY_FILTER_ONLY, socket, AF_ALG, SOCK_SEQPACKET, 0),
	CALL("socketpair", BY_FILTER_ONLY, socketpair, AF_UNIX, SOCK_STREAM, 0, POINTER(buffer)),
	CALL("bind", BY_FILTER_ONLY, bind, 3, POINTER(&somewhere), 12),
	CALL("listen", BY_FILTER, listen, 3, 1),
	CALL("accept", BY_FILTER, accept, 3, 0, 0),
	CALL("sendto elsewhere", BY_FILTER_ONLY, sendto, 3, POINTER(buffer), 1, 0,
	     POINTER(&somewhere), 12),
	CALL("setsockopt of the core's socket", BY_FILTER_ONLY, setsockopt, 3, SOL_SOCKET,
	     SO_SNDBUF, POINTER(buffer), 4),
	CALL("shutdown of the core's socket", BY_FILTER_ONLY, shutdown, 3, SHUT_RDWR),
	CALL("names of the host's interfaces", BY_FILTER_ONLY, ioctl, 3, 0x8910, POINTER(buffer)),
	{0},
};
