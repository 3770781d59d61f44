/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single stages of the sandbox, for sandbox.c and sandbox_self.c, which put them in order. Each
 * returns 0, or a negative errno with err saying what the kernel refused. None of them knows what
 * comes before or after it; all but the seccomp stage need a process with one thread.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_SANDBOX_STAGES_H
#define BULKHEAD_DEVWORKERS_COMMON_SANDBOX_STAGES_H

#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/sandbox.h"
#include "ipc/error.h"

/*
 * Replace the root of this mount namespace, which must be our own, by an empty read-only tmpfs and
 * detach the old one.
 */
int sandbox_stage_root(struct error *err);

/* Empty the bounding set: takes CAP_SETPCAP, so it comes before ids are dropped. */
int sandbox_stage_bounding_set(struct error *err);

/* Empty the ambient set and all others. */
int sandbox_stage_capabilities(struct error *err);

/* no_new_privs, and not dumpable: no core file, no ptrace by processes of the same uid. */
int sandbox_stage_no_new_privileges(struct error *err);

struct sandbox_limits {
	uint64_t file_size_bytes; /* RLIM_INFINITY: any */
	uint64_t fds;
	uint64_t threads;	/* RLIM_INFINITY: as inherited */
	uint64_t private_bytes; /* RLIM_INFINITY: as inherited */
};

/* Resource limits, soft and hard; no core files. */
int sandbox_stage_limits(const struct sandbox_limits *limits, struct error *err);

/* Close every fd that is not in keep (ascending order not needed; at most 64). */
int sandbox_stage_fds(const int *keep, size_t keep_count, struct error *err);

/*
 * A Landlock domain that allows nothing: no file, no bind, no connect, no abstract socket and no
 * signal to the outside, as far as this kernel's Landlock knows them.
 */
int sandbox_stage_landlock(struct error *err);

/*
 * A stage has failed with err: is it allowed to be missing? Then note that in *missing and return
 * 0. Otherwise put the stage's name in front of err and return its code.
 */
int sandbox_stage_missing(enum sandbox_stage stage, uint32_t allow_missing, uint32_t *missing,
			  struct error *err);

#endif
