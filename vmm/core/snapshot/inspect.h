/* SPDX-License-Identifier: Apache-2.0 */
/* `bulkhead inspect DIR`: what is in a snapshot, for people and for programs. */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_INSPECT_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_INSPECT_H

/* argv[0] is "inspect". Returns the exit status: 0; 2 bad usage or not a snapshot, damaged
 * included. */
int inspect_main(int argc, char **argv);

#endif
