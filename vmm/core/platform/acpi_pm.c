/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/acpi_pm.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Offsets from PORT_ACPI_PM1_EVENT and PORT_ACPI_GPE0. */
#define PM1_STATUS  0
#define PM1_ENABLE  2
#define PM1_CONTROL 4
#define PM_TIMER    8
#define GPE0_STATUS 0
#define GPE0_ENABLE 2

#define PM1_POWER_BUTTON 0x0100U
#define PM1_EVENTS	 0x0721U /* timer, global lock, power and sleep buttons, RTC */
#define PM1_WAKE	 0x8000U

#define CONTROL_SCI_ENABLE	 0x0001U
#define CONTROL_WRITABLE	 0x1c06U /* bus master reload, global lock release, sleep type */
#define CONTROL_SLEEP_TYPE_SHIFT 10
#define CONTROL_SLEEP_TYPE	 7U
#define CONTROL_SLEEP_ENABLE	 0x2000U
#define SLEEP_TYPE_SOFT_OFF	 5U /* \_S5 in dsdt.asl */

#define RESET_CPU	   0x04 /* 0 to 1: reset */
#define RESET_WRITABLE	   0x0e
#define TIMER_FREQUENCY_HZ 3579545ULL
#define NS_PER_SECOND	   1000000000ULL
#define GPE_COUNT	   16

struct acpi_pm {
	pthread_mutex_t lock; /* guards what follows it */
	struct irq_line sci;
	uint16_t pm1_status, pm1_enable, pm1_control;
	uint16_t gpe0_status, gpe0_enable;
	uint8_t reset_control;
	uint32_t timer_offset; /* counter minus ticks of the host's clock */

	struct acpi_pm_options options;
};

static uint64_t host_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint32_t host_ticks(const struct acpi_pm *pm)
{
	uint64_t now = pm->options.now_ns();

	/* In two parts, so that the product does not overflow. */
	return (uint32_t)(now / NS_PER_SECOND * TIMER_FREQUENCY_HZ +
			  now % NS_PER_SECOND * TIMER_FREQUENCY_HZ / NS_PER_SECOND);
}

static bool sci_level(const struct acpi_pm *pm)
{
	return (pm->pm1_status & pm->pm1_enable & PM1_EVENTS) ||
	       (pm->gpe0_status & pm->gpe0_enable);
}

static void update_sci(struct acpi_pm *pm)
{
	irq_line_set(&pm->sci, sci_level(pm));
}

/* ---- registers, a byte at a time: software may use any width ---- */

static uint8_t byte_of(uint32_t value, unsigned index)
{
	return (uint8_t)(value >> index * 8);
}

static void set_byte(uint16_t *value, unsigned index, uint8_t byte)
{
	*value = (uint16_t)((*value & ~(0xffU << index * 8)) | (unsigned)byte << index * 8);
}

/* Status bits are cleared by writing 1. */
static void clear_bits(uint16_t *value, unsigned index, uint8_t byte)
{
	*value &= (uint16_t) ~((unsigned)byte << index * 8);
}

static void acpi_pm_on_read_fixed(void *opaque, uint64_t offset, uint8_t *data,
				  unsigned length_bytes)
{
	uint8_t image[ACPI_PM_FIXED_BYTES] = {0};
	struct acpi_pm *pm = opaque;
	uint32_t timer;

	pthread_mutex_lock(&pm->lock);
	timer = host_ticks(pm) + pm->timer_offset;
	for (unsigned i = 0; i < 2; i++) {
		image[PM1_STATUS + i] = byte_of(pm->pm1_status, i);
		image[PM1_ENABLE + i] = byte_of(pm->pm1_enable, i);
		image[PM1_CONTROL + i] = byte_of(pm->pm1_control | CONTROL_SCI_ENABLE, i);
	}
	pthread_mutex_unlock(&pm->lock);
	for (unsigned i = 0; i < 4; i++)
		image[PM_TIMER + i] = byte_of(timer, i);
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < sizeof(image) ? image[offset + i] : 0xff;
}

/* Returns true when the guest turned itself off. */
static bool write_control(struct acpi_pm *pm, unsigned index, uint8_t byte)
{
	uint16_t value = pm->pm1_control;
	unsigned sleep_type;

	set_byte(&value, index, byte);
	pm->pm1_control = value & CONTROL_WRITABLE;
	sleep_type = value >> CONTROL_SLEEP_TYPE_SHIFT & CONTROL_SLEEP_TYPE;
	return (value & CONTROL_SLEEP_ENABLE) && sleep_type == SLEEP_TYPE_SOFT_OFF;
}

static bool write_fixed_byte(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
	switch (offset) {
	case PM1_STATUS:
	case PM1_STATUS + 1:
		clear_bits(&pm->pm1_status, (unsigned)offset - PM1_STATUS, byte);
		return false;
	case PM1_ENABLE:
	case PM1_ENABLE + 1:
		set_byte(&pm->pm1_enable, (unsigned)offset - PM1_ENABLE, byte);
		pm->pm1_enable &= PM1_EVENTS;
		return false;
	case PM1_CONTROL:
	case PM1_CONTROL + 1:
		return write_control(pm, (unsigned)offset - PM1_CONTROL, byte);
	default: /* the timer is read-only */
		return false;
	}
}

static void acpi_pm_on_write_fixed(void *opaque, uint64_t offset, const uint8_t *data,
				   unsigned length_bytes)
{
	struct acpi_pm *pm = opaque;
	bool off = false;

	pthread_mutex_lock(&pm->lock);
	for (unsigned i = 0; i < length_bytes; i++)
		off = write_fixed_byte(pm, offset + i, data[i]) || off;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
	if (off)
		pm->options.power_off(pm->options.opaque);
}

const struct bus_device_ops acpi_pm_fixed_ops = {
	.name = "acpi pm",
	.read = acpi_pm_on_read_fixed,
	.write = acpi_pm_on_write_fixed,
};

static void acpi_pm_on_read_gpe0(void *opaque, uint64_t offset, uint8_t *data,
				 unsigned length_bytes)
{
	struct acpi_pm *pm = opaque;
	uint32_t image;

	pthread_mutex_lock(&pm->lock);
	image = pm->gpe0_status | (uint32_t)pm->gpe0_enable << 16;
	pthread_mutex_unlock(&pm->lock);
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < 4 ? byte_of(image, (unsigned)offset + i) : 0xff;
}

static void acpi_pm_on_write_gpe0(void *opaque, uint64_t offset, const uint8_t *data,
				  unsigned length_bytes)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->lock);
	for (unsigned i = 0; i < length_bytes; i++) {
		unsigned at = (unsigned)offset + i;

		if (at < GPE0_ENABLE)
			clear_bits(&pm->gpe0_status, at, data[i]);
		else if (at < ACPI_PM_GPE0_BYTES)
			set_byte(&pm->gpe0_enable, at - GPE0_ENABLE, data[i]);
	}
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

const struct bus_device_ops acpi_pm_gpe0_ops = {
	.name = "acpi gpe0",
	.read = acpi_pm_on_read_gpe0,
	.write = acpi_pm_on_write_gpe0,
};

static void acpi_pm_on_read_reset(void *opaque, uint64_t offset, uint8_t *data,
				  unsigned length_bytes)
{
	struct acpi_pm *pm = opaque;

	(void)offset;
	memset(data, 0xff, length_bytes);
	pthread_mutex_lock(&pm->lock);
	data[0] = pm->reset_control;
	pthread_mutex_unlock(&pm->lock);
}

static void acpi_pm_on_write_reset(void *opaque, uint64_t offset, const uint8_t *data,
				   unsigned length_bytes)
{
	struct acpi_pm *pm = opaque;
	bool reset;

	(void)offset;
	(void)length_bytes;
	pthread_mutex_lock(&pm->lock);
	reset = (data[0] & RESET_CPU) && !(pm->reset_control & RESET_CPU);
	pm->reset_control = data[0] & RESET_WRITABLE;
	pthread_mutex_unlock(&pm->lock);
	if (reset)
		pm->options.reset(pm->options.opaque);
}

const struct bus_device_ops acpi_pm_reset_ops = {
	.name = "reset control",
	.read = acpi_pm_on_read_reset,
	.write = acpi_pm_on_write_reset,
};

/* ---- events ---- */

void acpi_pm_power_button(struct acpi_pm *pm)
{
	pthread_mutex_lock(&pm->lock);
	pm->pm1_status |= PM1_POWER_BUTTON;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

void acpi_pm_notify_gpe(struct acpi_pm *pm, unsigned number)
{
	assert(number < GPE_COUNT);
	pthread_mutex_lock(&pm->lock);
	pm->gpe0_status |= (uint16_t)(1U << number);
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

/* ---- life ---- */

struct acpi_pm *acpi_pm_new(const struct acpi_pm_options *options)
{
	struct acpi_pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return NULL;
	pthread_mutex_init(&pm->lock, NULL);
	pm->options = *options;
	pm->sci = options->sci;
	if (!pm->options.now_ns)
		pm->options.now_ns = host_now_ns;
	pm->timer_offset = 0U - host_ticks(pm);
	return pm;
}

void acpi_pm_destroy(struct acpi_pm *pm)
{
	if (!pm)
		return;
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

void acpi_pm_reset(struct acpi_pm *pm)
{
	pthread_mutex_lock(&pm->lock);
	pm->pm1_status = pm->pm1_enable = pm->pm1_control = 0;
	pm->gpe0_status = pm->gpe0_enable = 0;
	pm->reset_control = 0;
	irq_line_force(&pm->sci, false);
	pthread_mutex_unlock(&pm->lock);
}

void acpi_pm_save(struct acpi_pm *pm, Bulkhead__Platform__AcpiPm *state)
{
	pthread_mutex_lock(&pm->lock);
	state->pm1_status = pm->pm1_status;
	state->pm1_enable = pm->pm1_enable;
	state->pm1_control = pm->pm1_control;
	state->gpe0_status = pm->gpe0_status;
	state->gpe0_enable = pm->gpe0_enable;
	state->reset_control = pm->reset_control;
	state->timer = host_ticks(pm) + pm->timer_offset;
	pthread_mutex_unlock(&pm->lock);
}

int acpi_pm_restore(struct acpi_pm *pm, const Bulkhead__Platform__AcpiPm *state, struct error *err)
{
	if ((state->pm1_status & ~(PM1_EVENTS | PM1_WAKE)) || (state->pm1_enable & ~PM1_EVENTS) ||
	    (state->pm1_control & ~CONTROL_WRITABLE) || state->gpe0_status > UINT16_MAX ||
	    state->gpe0_enable > UINT16_MAX || (state->reset_control & ~(uint32_t)RESET_WRITABLE))
		return error_set(err, -EINVAL, "acpi: a register is out of range");
	pthread_mutex_lock(&pm->lock);
	pm->pm1_status = (uint16_t)state->pm1_status;
	pm->pm1_enable = (uint16_t)state->pm1_enable;
	pm->pm1_control = (uint16_t)state->pm1_control;
	pm->gpe0_status = (uint16_t)state->gpe0_status;
	pm->gpe0_enable = (uint16_t)state->gpe0_enable;
	pm->reset_control = (uint8_t)state->reset_control;
	pm->timer_offset = state->timer - host_ticks(pm);
	irq_line_force(&pm->sci, sci_level(pm));
	pthread_mutex_unlock(&pm->lock);
	return 0;
}
