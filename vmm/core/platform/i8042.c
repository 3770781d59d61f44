/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/i8042.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM_FLAG 0x04
#define STATUS_COMMAND	   0x08
#define STATUS_UNLOCKED	   0x10

#define COMMAND_READ_CONTROL  0x20
#define COMMAND_WRITE_CONTROL 0x60
#define COMMAND_DISABLE_AUX   0xa7
#define COMMAND_ENABLE_AUX    0xa8
#define COMMAND_TEST_AUX      0xa9
#define COMMAND_SELF_TEST     0xaa
#define COMMAND_TEST_KEYBOARD 0xab
#define COMMAND_DISABLE	      0xad
#define COMMAND_ENABLE	      0xae
#define COMMAND_WRITE_OUTPUT  0xd1
#define COMMAND_PULSE_RESET   0xfe

#define SELF_TEST_PASSED  0x55
#define PORT_TEST_FAILED  0x01 /* clock line stuck low: nothing there */
#define OUTPUT_PORT_RESET 0x01 /* cleared: reset */

#define CONTROL_SYSTEM_FLAG 0x04
#define CONTROL_DISABLE	    0x10
#define CONTROL_DISABLE_AUX 0x20
#define CONTROL_POWER_ON    (CONTROL_SYSTEM_FLAG | CONTROL_DISABLE | CONTROL_DISABLE_AUX)

struct i8042 {
	pthread_mutex_t lock; /* guards what follows it */
	uint8_t command;      /* waits for its data byte; 0: none */
	uint8_t control;
	uint8_t output;
	bool output_full;

	void (*reset)(void *opaque);
	void *opaque;
};

static void answer(struct i8042 *i8042, uint8_t byte)
{
	i8042->output = byte;
	i8042->output_full = true;
}

/* Returns true when the machine is to be reset. */
static bool run_command(struct i8042 *i8042, uint8_t command)
{
	i8042->command = 0;
	switch (command) {
	case COMMAND_READ_CONTROL:
		answer(i8042, i8042->control);
		break;
	case COMMAND_WRITE_CONTROL:
	case COMMAND_WRITE_OUTPUT:
		i8042->command = command;
		break;
	case COMMAND_SELF_TEST:
		answer(i8042, SELF_TEST_PASSED);
		break;
	case COMMAND_TEST_AUX:
	case COMMAND_TEST_KEYBOARD:
		answer(i8042, PORT_TEST_FAILED);
		break;
	case COMMAND_DISABLE:
		i8042->control |= CONTROL_DISABLE;
		break;
	case COMMAND_ENABLE:
		i8042->control &= (uint8_t)~CONTROL_DISABLE;
		break;
	case COMMAND_DISABLE_AUX:
		i8042->control |= CONTROL_DISABLE_AUX;
		break;
	case COMMAND_ENABLE_AUX:
		i8042->control &= (uint8_t)~CONTROL_DISABLE_AUX;
		break;
	default:
		return command == COMMAND_PULSE_RESET;
	}
	return false;
}

/* The data byte of a command, or something for the keyboard that is not there. */
static bool take_data(struct i8042 *i8042, uint8_t byte)
{
	uint8_t command = i8042->command;

	i8042->command = 0;
	if (command == COMMAND_WRITE_CONTROL)
		i8042->control = byte;
	return command == COMMAND_WRITE_OUTPUT && !(byte & OUTPUT_PORT_RESET);
}

static void i8042_write(struct i8042 *i8042, bool (*act)(struct i8042 *, uint8_t), uint8_t byte)
{
	bool reset;

	pthread_mutex_lock(&i8042->lock);
	reset = act(i8042, byte);
	pthread_mutex_unlock(&i8042->lock);
	if (reset)
		i8042->reset(i8042->opaque);
}

static void fill(uint8_t *data, uint8_t value, unsigned length_bytes)
{
	data[0] = value;
	for (unsigned i = 1; i < length_bytes; i++)
		data[i] = 0xff;
}

static void i8042_on_read_data(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct i8042 *i8042 = opaque;

	(void)offset;
	pthread_mutex_lock(&i8042->lock);
	i8042->output_full = false;
	fill(data, i8042->output, length_bytes);
	pthread_mutex_unlock(&i8042->lock);
}

static void i8042_on_write_data(void *opaque, uint64_t offset, const uint8_t *data,
				unsigned length_bytes)
{
	(void)offset;
	(void)length_bytes;
	i8042_write(opaque, take_data, data[0]);
}

/* Commands are carried out at once, so that "input buffer full" is never seen. */
static void i8042_on_read_status(void *opaque, uint64_t offset, uint8_t *data,
				 unsigned length_bytes)
{
	struct i8042 *i8042 = opaque;
	uint8_t status = STATUS_SYSTEM_FLAG | STATUS_COMMAND | STATUS_UNLOCKED;

	(void)offset;
	pthread_mutex_lock(&i8042->lock);
	if (i8042->output_full)
		status |= STATUS_OUTPUT_FULL;
	pthread_mutex_unlock(&i8042->lock);
	fill(data, status, length_bytes);
}

static void i8042_on_write_command(void *opaque, uint64_t offset, const uint8_t *data,
				   unsigned length_bytes)
{
	(void)offset;
	(void)length_bytes;
	i8042_write(opaque, run_command, data[0]);
}

const struct bus_device_ops i8042_data_ops = {
	.name = "i8042 data",
	.read = i8042_on_read_data,
	.write = i8042_on_write_data,
};

const struct bus_device_ops i8042_command_ops = {
	.name = "i8042 command",
	.read = i8042_on_read_status,
	.write = i8042_on_write_command,
};

struct i8042 *i8042_new(void (*reset)(void *opaque), void *opaque)
{
	struct i8042 *i8042 = calloc(1, sizeof(*i8042));

	if (!i8042)
		return NULL;
	pthread_mutex_init(&i8042->lock, NULL);
	i8042->reset = reset;
	i8042->opaque = opaque;
	i8042->control = CONTROL_POWER_ON;
	return i8042;
}

void i8042_destroy(struct i8042 *i8042)
{
	if (!i8042)
		return;
	pthread_mutex_destroy(&i8042->lock);
	free(i8042);
}

void i8042_reset(struct i8042 *i8042)
{
	pthread_mutex_lock(&i8042->lock);
	i8042->command = 0;
	i8042->control = CONTROL_POWER_ON;
	i8042->output = 0;
	i8042->output_full = false;
	pthread_mutex_unlock(&i8042->lock);
}

void i8042_save(struct i8042 *i8042, Bulkhead__Platform__I8042 *state)
{
	pthread_mutex_lock(&i8042->lock);
	state->command = i8042->command;
	state->control = i8042->control;
	state->output = i8042->output;
	state->output_full = i8042->output_full;
	pthread_mutex_unlock(&i8042->lock);
}

int i8042_restore(struct i8042 *i8042, const Bulkhead__Platform__I8042 *state, struct error *err)
{
	if (state->command > UINT8_MAX || state->control > UINT8_MAX || state->output > UINT8_MAX)
		return error_set(err, -EINVAL, "i8042: a register is out of range");
	pthread_mutex_lock(&i8042->lock);
	i8042->command = (uint8_t)state->command;
	i8042->control = (uint8_t)state->control;
	i8042->output = (uint8_t)state->output;
	i8042->output_full = state->output_full;
	pthread_mutex_unlock(&i8042->lock);
	return 0;
}
