/* SPDX-License-Identifier: Apache-2.0 */
/* Code where there was data, and more than its share: memory, fds, queues. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (1UL << 20)

static char page[8192] __attribute__((aligned(4096)));
static int pair[2];

static long map_executable(const struct order *order)
{
	(void)order;
	return attempt_call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long map_executable_file(const struct order *order)
{
	int fd = memfd_create("code", 0);

	(void)order;
	if (fd < 0 || write(fd, page, 4096) != 4096)
		return -errno;
	return attempt_call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
}

/* The null page: where a kernel that follows a null pointer would find what we put there. */
static long map_null_page(const struct order *order)
{
	(void)order;
	return attempt_call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static long exhaust_private_memory(const struct order *order)
{
	(void)order;
	for (unsigned mib = 0; mib < 512; mib++) {
		char *memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED)
			return -errno;
		memory[0] = 1;
	}
	return 0;
}

static long exhaust_fds(const struct order *order)
{
	(void)order;
	for (unsigned count = 0; count < 4096; count++)
		if (fcntl(3, F_DUPFD_CLOEXEC, 0) < 0)
			return -errno;
	return 0;
}

/* A guest's memory may be in an ordinary file, which the core maps: cut it short. */
static long shrink_file(const struct order *order)
{
	int fd = memfd_create("state", MFD_ALLOW_SEALING);

	(void)order;
	if (fd < 0 || write(fd, page, sizeof(page)) != sizeof(page))
		return -errno;
	return attempt_call(SYS_ftruncate, fd, 0, 0, 0, 0, 0);
}

const struct attempt attempts_memory[] = {
	RUN("mmap writable and executable", BY_FILTER_ONLY, map_executable),
	RUN("mmap of a file, executable", BY_FILTER_ONLY, map_executable_file),
	CALL("mprotect executable", BY_FILTER_ONLY, mprotect, POINTER(page), 4096,
	     PROT_READ | PROT_EXEC),
	CALL("pkey_mprotect executable", BY_FILTER_ONLY, pkey_mprotect, POINTER(page), 4096,
	     PROT_READ | PROT_EXEC, -1),
	CALL("mmap shared and anonymous", BY_FILTER_ONLY, mmap, 0, 4096, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	RUN("mmap of the null page", BY_KERNEL, map_null_page),
	RUN("exhaust private memory", BY_KERNEL, exhaust_private_memory),
	RUN("exhaust fds", BY_KERNEL, exhaust_fds),
	RUN("cut memory in a file short", BY_FILTER_ONLY, shrink_file),
	CALL("make what the core shares block", BY_FILTER_ONLY, fcntl, 3, F_SETFL, 0),
	CALL("mlockall", BY_FILTER_ONLY, mlockall, MCL_CURRENT | MCL_FUTURE),
	CALL("remap_file_pages", BY_FILTER_ONLY, remap_file_pages, POINTER(page), 4096, 0, 0, 0),
	CALL("memfd_secret", BY_FILTER_ONLY, memfd_secret, 0),
	CALL("huge pages by memfd", BY_FILTER_ONLY, memfd_create, POINTER("h"), MFD_HUGETLB),
	CALL("shmget", BY_FILTER_ONLY, shmget, IPC_PRIVATE, MIB, IPC_CREAT | 0600),
	CALL("msgget", BY_FILTER_ONLY, msgget, IPC_PRIVATE, IPC_CREAT | 0600),
	CALL("semget", BY_FILTER_ONLY, semget, IPC_PRIVATE, 1, IPC_CREAT | 0600),
	CALL("mq_open", BY_FILTER, mq_open, POINTER("escaped"), O_CREAT | O_RDWR, 0600, 0),
	CALL("pipe2", BY_FILTER_ONLY, pipe2, POINTER(pair), 0),
	CALL("vmsplice", BY_FILTER_ONLY, vmsplice, 3, 0, 0, 0),
	CALL("splice", BY_FILTER, splice, 0, 0, 3, 0, 1, 0),
	{0},
};
