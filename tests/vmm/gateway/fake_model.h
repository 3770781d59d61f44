/* SPDX-License-Identifier: Apache-2.0 */
/* A VM as far as commands see it: a configuration and a state, and the answers that follow. */
#ifndef BULKHEAD_TESTS_VMM_GATEWAY_FAKE_MODEL_H
#define BULKHEAD_TESTS_VMM_GATEWAY_FAKE_MODEL_H

#include <stdint.h>

#include "ipc/channel.h"
#include "proto/config.pb-c.h"
#include "proto/control.pb-c.h"

struct fake_model {
	struct channel *channel;      /* where answers go */
	Bulkhead__Config__Vm *config; /* of vm.create; NULL: there is no VM */
	Bulkhead__Control__VmState state;
};

/* Answer a command; body is NULL for one that was held back. */
void fake_model_answer(struct fake_model *model, uint16_t type, uint32_t id,
		       const ProtobufCMessage *body);

void fake_model_reply_empty(struct fake_model *model, uint16_t type, uint32_t id);
void fake_model_reply_error(struct fake_model *model, uint16_t type, uint32_t id, int code,
			    const char *text);

#endif
