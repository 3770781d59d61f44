/* SPDX-License-Identifier: Apache-2.0 */
/* Text out of a snapshot, which anybody may have written, on its way to a terminal or a program. */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_INSPECT_TEXT_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_INSPECT_TEXT_H

#include <stdio.h>

/* Control characters (which a terminal would obey) and what is not UTF-8 as
 * \xNN. */
void inspect_print_text(FILE *stream, const char *text);

/* To standard output: a JSON string with its quotes; what is not UTF-8 becomes U+FFFD (RFC 8259, 7
 * and 8.1). */
void inspect_print_json_string(const char *text);

#endif
