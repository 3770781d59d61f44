/* SPDX-License-Identifier: Apache-2.0 */
/* The disk's own part of its saved state: the input is the blob; another size is refused. */
#include <stdint.h>
#include <stdlib.h>

#include "devworkers/blk/state.h"

#define IMAGE_BYTES 1048576

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blk_state state = {.size_bytes = 1};
	struct error err = ERROR_INIT;

	if (blk_state_unpack(&state, data, size, IMAGE_BYTES, &err) == 0) {
		if (state.size_bytes != IMAGE_BYTES)
			abort();
	} else if (state.size_bytes != 1 || err.code >= 0 || !err.message[0]) {
		abort();
	}
	return 0;
}
