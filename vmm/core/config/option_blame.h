/* SPDX-License-Identifier: Apache-2.0 */
/* Which word of a command line argp could not take, and why: argp itself only says that it failed.
 */
#ifndef BULKHEAD_VMM_CORE_CONFIG_OPTION_BLAME_H
#define BULKHEAD_VMM_CORE_CONFIG_OPTION_BLAME_H

#include <argp.h>

#include "ipc/error.h"

/* Sets err (-EINVAL) to a message that names the word, and returns its code. */
int option_blame(const struct argp_option *options, int argc, char **argv, struct error *err);

#endif
