/* SPDX-License-Identifier: Apache-2.0 */
/* Names of system call arguments, as policies use them. */
#include "devworkers/common/policy/policy.h"

#include <string.h>

#define MAX_ARGUMENTS 6

/* A name that ends in ':' is taken by the kernel as 32-bit: the upper half is ignored there and
 * here. */
static const struct {
	const char *syscall;
	const char *arguments[MAX_ARGUMENTS];
} tables[] = {
	{"accept4", {"fd:", "address", "length", "flags:"}},
	{"bind", {"fd:", "address", "length:"}},
	{"clone", {"flags", "stack", "parent_tid", "child_tid", "tls"}},
	{"clock_gettime", {"clock:", "time"}},
	{"clock_nanosleep", {"clock:", "flags:", "request", "remain"}},
	{"close", {"fd:"}},
	{"dup", {"fd:"}},
	{"epoll_ctl", {"epfd:", "op:", "fd:", "event"}},
	{"dup3", {"old:", "new:", "flags:"}},
	{"epoll_create1", {"flags:"}},
	{"eventfd2", {"initval:", "flags:"}},
	{"fallocate", {"fd:", "mode:", "offset", "length"}},
	{"fcntl", {"fd:", "command:", "argument"}},
	{"fstat", {"fd:", "stat"}},
	{"ftruncate", {"fd:", "length"}},
	{"futex", {"uaddr", "op:", "val:", "timeout", "uaddr2", "val3:"}},
	{"getrandom", {"buffer", "length", "flags:"}},
	{"getsockopt", {"fd:", "level:", "option:", "value", "length"}},
	{"io_uring_enter", {"fd:", "to_submit:", "min_complete:", "flags:", "sig", "size"}},
	{"io_uring_register", {"fd:", "opcode:", "argument", "count:"}},
	{"ioctl", {"fd:", "request:", "argument"}},
	{"kill", {"pid:", "signal:"}},
	{"lseek", {"fd:", "offset", "whence:"}},
	{"madvise", {"addr", "length", "advice:"}},
	{"membarrier", {"command:", "flags:", "cpu:"}},
	{"memfd_create", {"name", "flags:"}},
	{"mmap", {"addr", "length", "prot", "flags", "fd", "offset"}},
	{"mprotect", {"addr", "length", "prot"}},
	{"mremap", {"old_addr", "old_size", "new_size", "flags", "new_addr"}},
	{"newfstatat", {"dirfd:", "path", "stat", "flags:"}},
	{"openat", {"dirfd:", "path", "flags:", "mode:"}},
	{"poll", {"fds", "count:", "timeout:"}},
	{"prctl", {"option:", "arg2", "arg3", "arg4", "arg5"}},
	{"preadv", {"fd:", "vector", "count"}},
	{"preadv2", {"fd:", "vector", "count", "offset", "offset_high", "flags:"}},
	{"pwritev", {"fd:", "vector", "count"}},
	{"pwritev2", {"fd:", "vector", "count", "offset", "offset_high", "flags:"}},
	{"sync_file_range", {"fd:", "offset", "length", "flags:"}},
	{"userfaultfd", {"flags:"}},
	{"wait4", {"pid:", "status", "options:", "usage"}},
	{"waitid", {"type:", "id:", "info", "options:", "usage"}},
	{"pread64", {"fd:", "buffer", "length", "offset"}},
	{"prlimit64", {"pid:", "resource:", "new_limit", "old_limit"}},
	{"pwrite64", {"fd:", "buffer", "length", "offset"}},
	{"read", {"fd:", "buffer", "length"}},
	{"recvfrom", {"fd:", "buffer", "length", "flags:", "address", "address_length"}},
	{"recvmsg", {"fd:", "message", "flags:"}},
	{"rt_sigaction", {"signal:", "action", "old_action", "size"}},
	{"rt_sigprocmask", {"how:", "set", "old_set", "size"}},
	{"rt_tgsigqueueinfo", {"tgid:", "tid:", "signal:", "info"}},
	{"sendmsg", {"fd:", "message", "flags:"}},
	{"sendto", {"fd:", "buffer", "length", "flags:", "address", "address_length"}},
	{"setsockopt", {"fd:", "level:", "option:", "value", "length:"}},
	{"shutdown", {"fd:", "how:"}},
	{"socket", {"domain:", "type:", "protocol:"}},
	{"socketpair", {"domain:", "type:", "protocol:", "pair"}},
	{"tgkill", {"tgid:", "tid:", "signal:"}},
	{"timerfd_create", {"clock:", "flags:"}},
	{"timerfd_settime", {"fd:", "flags:", "new", "old"}},
	{"unshare", {"flags"}},
	{"write", {"fd:", "buffer", "length"}},
	{"writev", {"fd:", "vector", "count"}},
};

static int generic_index(const char *name)
{
	if (strncmp(name, "arg", 3) != 0 || name[3] < '0' || name[3] > '5' || name[4])
		return -1;
	return name[3] - '0';
}

int policy_argument_index(const char *syscall, const char *name, bool *is_32bit)
{
	size_t length = strlen(name);

	*is_32bit = false;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].syscall, syscall) != 0)
			continue;
		for (int index = 0; index < MAX_ARGUMENTS; index++) {
			const char *candidate = tables[i].arguments[index];

			if (!candidate || strncmp(candidate, name, length) != 0)
				continue;
			*is_32bit = strcmp(candidate + length, ":") == 0;
			if (*is_32bit || !candidate[length])
				return index;
		}
	}
	return generic_index(name);
}
