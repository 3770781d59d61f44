/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/uid_range.h"

#include <errno.h>
#include <stdlib.h>

int uid_range_parse(const char *text, uint32_t *base, uint32_t *count, struct error *err)
{
	unsigned long long first, number;
	char *end;

	errno = 0;
	first = strtoull(text, &end, 10);
	if (errno || end == text || *end != ':' || text[0] == '-')
		return error_set(err, -EINVAL, "expected BASE:COUNT, two numbers");
	text = end + 1;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-')
		return error_set(err, -EINVAL, "expected BASE:COUNT, two numbers");
	/* The last id, (uint32_t)-1, means "unchanged" to the kernel. */
	if (first == 0 || first > UINT32_MAX || number < UID_RANGE_MIN_COUNT ||
	    number > UINT32_MAX || first + number > UINT32_MAX)
		return error_set(err, -ERANGE, "the ids must lie in 1 to %u, and be %u at least",
				 UINT32_MAX - 1, UID_RANGE_MIN_COUNT);
	*base = (uint32_t)first;
	*count = (uint32_t)number;
	return 0;
}
