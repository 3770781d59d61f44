/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned kept_capabilities[] = {
	CAP_DAC_OVERRIDE, /* the operator's files, whoever owns them */
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,	  /* hugetlbfs and cgroup files of another owner */
	CAP_CHOWN,	  /* hand a created socket or file to its user */
	CAP_SETUID,	  /* map workers' ids */
	CAP_SETGID,	  /* the same */
	CAP_KILL,	  /* end workers, which have other ids */
	CAP_NET_ADMIN,	  /* open taps */
	CAP_SYS_RESOURCE, /* raise limits that a worker needs more of */
};

int broker_drop_privileges(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	const struct rlimit no_core = {0, 0};
	uint64_t keep = 0;

	for (unsigned i = 0; i < sizeof(kept_capabilities) / sizeof(kept_capabilities[0]); i++)
		keep |= 1ULL << kept_capabilities[i];
	/* A worker's user namespace begins with a full bounding set of its own. Without CAP_SETPCAP
	 * (ordinary user) there is nothing in ours that we could get back. */
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++)
		if (!(keep & (1ULL << capability)) &&
		    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM)
			return error_set_errno(err, -errno, "bounding set");
	if (syscall(SYS_capget, &header, sets) != 0)
		return error_set_errno(err, -errno, "capget");
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= (uint32_t)(keep >> (32 * i));
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, sets) != 0)
		return error_set_errno(err, -errno, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "no_new_privs");
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return error_set_errno(err, -errno, "RLIMIT_CORE");
	return 0;
}
