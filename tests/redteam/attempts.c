/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <unistd.h>

static const struct attempt *const subjects[] = {
	attempts_files,	 attempts_processes, attempts_privileges, attempts_network,
	attempts_memory, attempts_kernel,    attempts_ring,	  attempts_core,
};

const struct attempt *attempt_at(size_t index)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		for (const struct attempt *attempt = subjects[i]; attempt->name; attempt++)
			if (index-- == 0)
				return attempt;
	return NULL;
}

long attempt_call(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);

	return result == -1 ? -errno : result;
}
