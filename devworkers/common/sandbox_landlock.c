/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox stage: Landlock, nothing allowed. */
#include "devworkers/common/sandbox_stages.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"

/*
 * Written out here because headers older than the kernel lack the later ones: struct
 * landlock_ruleset_attr of ABI 6 and how many access bits each ABI knows.
 */
struct ruleset_attributes {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* since ABI 4 */
	uint64_t scoped;	     /* since ABI 6 */
};

#define RULESET_VERSION 1U
#define NET_BIND_TCP	(1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT	(1ULL << 0)
#define SCOPE_SIGNAL	(1ULL << 1)

#define ABI_REFER     2
#define ABI_TRUNCATE  3
#define ABI_NET	      4
#define ABI_IOCTL_DEV 5
#define ABI_SCOPE     6

static size_t ruleset_fill(struct ruleset_attributes *attributes, long abi)
{
	unsigned fs_bits = 13;

	if (abi >= ABI_REFER)
		fs_bits++;
	if (abi >= ABI_TRUNCATE)
		fs_bits++;
	if (abi >= ABI_IOCTL_DEV)
		fs_bits++;
	*attributes = (struct ruleset_attributes){.handled_access_fs = (1ULL << fs_bits) - 1};
	if (abi >= ABI_NET)
		attributes->handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= ABI_SCOPE)
		attributes->scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	if (abi >= ABI_SCOPE)
		return sizeof(*attributes);
	return abi >= ABI_NET ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

int sandbox_stage_landlock(struct error *err)
{
	struct ruleset_attributes attributes;
	cleanup_fd int ruleset = -1;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	if (abi < 0)
		return error_set_errno(err, -errno, "not offered by this kernel");
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes,
			       ruleset_fill(&attributes, abi), 0);
	if (ruleset < 0)
		return error_set_errno(err, -errno, "create a ruleset");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return error_set_errno(err, -errno, "restrict");
	return 0;
}
