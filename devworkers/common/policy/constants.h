/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind policy_constant_value(). */
#ifndef BULKHEAD_DEVWORKERS_COMMON_POLICY_CONSTANTS_H
#define BULKHEAD_DEVWORKERS_COMMON_POLICY_CONSTANTS_H

#include <stddef.h>
#include <stdint.h>

struct policy_constant {
	const char *name;
	uint64_t value;
};

/* Signed constants are widened with their sign, as a system call's argument would be. */
#define CONSTANT(name)                                                                             \
	{                                                                                          \
#name, (uint64_t)(int64_t)(name)                                                   \
	}

extern const struct policy_constant policy_kvm_constants[];
extern const size_t policy_kvm_constant_count;

#endif
