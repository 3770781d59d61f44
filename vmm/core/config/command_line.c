/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/command_line.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/uid_range.h"
#include "vmm/core/config/option_blame.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"

#define CLOUD_HYPERVISOR_VERSION "53.0.0" /* whose API this one follows */

enum option_key {
	KEY_KERNEL = 0x100,
	KEY_INITRAMFS,
	KEY_CMDLINE,
	KEY_CPUS,
	KEY_MEMORY,
	KEY_DISK,
	KEY_RNG,
	KEY_CONSOLE,
	KEY_SERIAL,
	KEY_SECCOMP,
	KEY_LOG_FILE,
	KEY_LOG_FORMAT,
	KEY_NAME,
	KEY_UID_RANGE,
	KEY_ALLOW_MISSING,
	KEY_RESTORE,
	KEY_INCOMING,
	KEY_FORCE,
	KEY_API_SOCKET,
	KEY_QMP,
	KEY_EVENT_MONITOR,
	KEY_METRICS_SOCKET,
	KEY_CONFIG,
	KEY_HELP,
	KEY_END,
};

static const struct argp_option options[] = {
	{0, 0, 0, 0, "The virtual machine:", 1},
	{"kernel", KEY_KERNEL, "PATH", 0, "bzImage or ELF vmlinux with a PVH entry", 1},
	{"initramfs", KEY_INITRAMFS, "PATH", 0, "initial RAM file system", 1},
	{"cmdline", KEY_CMDLINE, "TEXT", 0, "kernel command line", 1},
	{"cpus", KEY_CPUS, "boot=N[,max=N]", 0, "virtual CPUs, 1 to 16 (default 1)", 1},
	{"memory", KEY_MEMORY, "size=S[,hugepages=on][,file=PATH][,prefault=on][,thp=on]", 0,
	 "guest memory: 512M, 4G (default 512M)", 1},
	{"disk", KEY_DISK,
	 "path=P[,readonly=on][,direct=on][,id=I][,num_queues=N][,queue_size=N][,serial=S]", 0,
	 "a raw image or block device; may be repeated, and several may follow one --disk", 1},
	{"rng", KEY_RNG, "src=PATH", 0, "entropy device (default source /dev/urandom)", 1},
	{"console", KEY_CONSOLE, "off|null|tty|pty|file=PATH|socket=PATH", 0,
	 "virtio console (default off)", 1},
	{"serial", KEY_SERIAL, "off|null|tty|pty|file=PATH|socket=PATH", 0,
	 "16550A serial port (default tty)", 1},
	{"name", KEY_NAME, "NAME", 0, "name of the VM in logs and process lists", 1},
	{0, 0, 0, 0, "Instead of a kernel, a snapshot:", 2},
	{"restore", KEY_RESTORE,
	 "source_url=file:///DIR[,memory_restore_mode=copy|ondemand][,prefault=on][,resume=on]", 0,
	 "start from a snapshot, paused unless resume=on; --disk id=…,path=…, --serial and "
	 "--console say where its devices' files are now",
	 2},
	{"incoming", KEY_INCOMING, "file:DIR", 0, "the same as --restore source_url=file:DIR", 2},
	{"force", KEY_FORCE, 0, 0, "restore although the host differs where that is only a risk",
	 2},
	{0, 0, 0, 0, "Control:", 3},
	{"api-socket", KEY_API_SOCKET, "PATH|path=PATH|fd=N", 0,
	 "HTTP API on this unix socket; without a kernel the VM is created through it", 3},
	{"qmp", KEY_QMP, "unix:PATH[,server=on][,wait=off][,negotiate=off]", 0,
	 "QMP on this unix socket; negotiate=off: commands are obeyed before qmp_capabilities", 3},
	{"event-monitor", KEY_EVENT_MONITOR, "path=PATH|fd=N", 0, "write events there, as JSON", 3},
	{"metrics-socket", KEY_METRICS_SOCKET, "PATH|fd=N", 0,
	 "counters for Prometheus on this unix socket, read-only", 3},
	{"config", KEY_CONFIG, "FILE", 0, "the VM's configuration, in the schema of vm.create", 3},
	{0, 0, 0, 0, "This process and its workers:", 4},
	{"seccomp", KEY_SECCOMP, "true|log|false", 0,
	 "system call filters: enforce, only log, or none (default true)", 4},
	{"uid-range", KEY_UID_RANGE, "BASE:COUNT", 0,
	 "user ids that VMs and their workers may take when started as root", 4},
	{"allow-missing-sandbox", KEY_ALLOW_MISSING, "STAGE[,STAGE]", 0,
	 "start although this host lacks these stages of the sandbox (see the manual)", 4},
	{"log-file", KEY_LOG_FILE, "PATH", 0, "append the log to PATH (default standard error)", 4},
	{"log-format", KEY_LOG_FORMAT, "text|json", 0, "one line or one JSON object an event", 4},
	{"verbose", 'v', 0, 0, "more log; twice for debugging", 4},
	{"help", KEY_HELP, 0, OPTION_HIDDEN, 0, 4},
	{"version", 'V', 0, OPTION_HIDDEN, 0, 4},
	{0},
};

static const char documentation[] =
	"Run a virtual machine whose devices are sandboxed processes of their own.\v"
	"Other uses: `bulkhead check-host` says what this host offers, see its --help.\n\n"
	"Exit status: 0 the guest shut down; 1 internal error; 2 bad command line or "
	"configuration; "
	"3 the host lacks something that is needed; 4 the guest crashed (kernel panic, triple "
	"fault).";

struct parse_state {
	struct command_line *line;
	struct error *err;
	int last_key;
	bool seen[KEY_END - KEY_KERNEL];
	bool answered; /* --help or --version: there is nothing else to do */
};

static int parse_cpus(Bulkhead__Config__Vm *config, const char *text, struct error *err)
{
	struct option_field fields[] = {
		{"boot", OPTION_COUNT, &config->cpus->boot},
		{"max", OPTION_COUNT, &config->cpus->max},
	};

	return option_string_parse("--cpus", text, fields, 2, err);
}

static int parse_memory(Bulkhead__Config__Vm *config, const char *text, struct error *err)
{
	struct option_field fields[] = {
		{"size", OPTION_SIZE, &config->memory->size_bytes},
		{"hugepages", OPTION_SWITCH, &config->memory->hugepages},
		{"file", OPTION_STRING, &config->memory->file},
		{"prefault", OPTION_SWITCH, &config->memory->prefault},
		{"thp", OPTION_SWITCH, &config->memory->thp},
	};

	return option_string_parse("--memory", text, fields, 5, err);
}

static int parse_disk(Bulkhead__Config__Vm *config, const char *text, struct error *err)
{
	Bulkhead__Config__Disk *disk = vm_config_add_disk(config);
	struct option_field fields[] = {
		{"path", OPTION_STRING, disk ? &disk->path : NULL},
		{"readonly", OPTION_SWITCH, disk ? &disk->read_only : NULL},
		{"direct", OPTION_SWITCH, disk ? &disk->direct : NULL},
		{"id", OPTION_STRING, disk ? &disk->id : NULL},
		{"num_queues", OPTION_COUNT, disk ? &disk->num_queues : NULL},
		{"queue_size", OPTION_COUNT, disk ? &disk->queue_size : NULL},
		{"serial", OPTION_STRING, disk ? &disk->serial : NULL},
	};

	if (!disk)
		return error_set(err, -ENOMEM, "out of memory");
	return option_string_parse("--disk", text, fields, sizeof(fields) / sizeof(*fields), err);
}

static int parse_rng(Bulkhead__Config__Vm *config, const char *text, struct error *err)
{
	Bulkhead__Config__Rng *rng = vm_config_rng(config);
	struct option_field fields[] = {{"src", OPTION_STRING, rng ? &rng->src : NULL},
					{"id", OPTION_STRING, rng ? &rng->id : NULL}};

	if (!rng)
		return error_set(err, -ENOMEM, "out of memory");
	return option_string_parse("--rng", text, fields, 2, err);
}

/* "off", "tty", "file=PATH", … as --serial and --console take them. */
static int parse_terminal(const char *option, const char *text, Bulkhead__Config__SerialMode *mode,
			  char **path, struct error *err)
{
	static const struct {
		const char *text;
		Bulkhead__Config__SerialMode mode;
		bool has_path;
	} modes[] = {
		{"off", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF, false},
		{"null", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL, false},
		{"tty", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY, false},
		{"pty", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY, false},
		{"file=", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE, true},
		{"socket=", BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET, true},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		size_t length = strlen(modes[i].text);

		if (modes[i].has_path ? strncmp(text, modes[i].text, length) != 0
				      : strcmp(text, modes[i].text) != 0)
			continue;
		*mode = modes[i].mode;
		if (!modes[i].has_path)
			return 0;
		if (!text[length])
			return error_set(err, -EINVAL, "%s: %s needs a path", option,
					 modes[i].text);
		return option_set_string(path, text + length, strlen(text + length));
	}
	return error_set(err, -EINVAL, "%s %s: write off, null, tty, pty, file=PATH or socket=PATH",
			 option, text);
}

static int parse_console(Bulkhead__Config__Vm *config, const char *text, struct error *err)
{
	Bulkhead__Config__Console *console = vm_config_console(config);

	if (!console)
		return error_set(err, -ENOMEM, "out of memory");
	return parse_terminal("--console", text, &console->mode, &console->path, err);
}

static int parse_seccomp(const char *text, enum sandbox_seccomp_mode *mode, struct error *err)
{
	if (strcmp(text, "true") == 0)
		*mode = SANDBOX_SECCOMP_ENFORCE;
	else if (strcmp(text, "log") == 0)
		*mode = SANDBOX_SECCOMP_LOG;
	else if (strcmp(text, "false") == 0)
		*mode = SANDBOX_SECCOMP_OFF;
	else
		return error_set(err, -EINVAL, "--seccomp %s: write true, log or false", text);
	return 0;
}

static int parse_log_format(const char *text, bool *json, struct error *err)
{
	*json = strcmp(text, "json") == 0;
	if (!*json && strcmp(text, "text") != 0)
		return error_set(err, -EINVAL, "--log-format %s: write text or json", text);
	return 0;
}

static int parse_restore(struct restore_request *restore, const char *text, struct error *err)
{
	struct option_field fields[] = {
		{"source_url", OPTION_STRING, &restore->source_url},
		{"memory_restore_mode", OPTION_STRING, &restore->memory_restore_mode},
		{"prefault", OPTION_SWITCH, &restore->prefault},
		{"resume", OPTION_SWITCH, &restore->resume},
	};
	const char *mode;

	if (option_string_parse("--restore", text, fields, 4, err) < 0 ||
	    !command_line_url_path("--restore", restore->source_url, err))
		return err->code;
	mode = restore->memory_restore_mode;
	if (mode[0] && strcasecmp(mode, "copy") != 0 && strcasecmp(mode, "ondemand") != 0)
		return error_set(err, -EINVAL,
				 "--restore: memory_restore_mode=%s: write copy or ondemand", mode);
	return 0;
}

const char *command_line_url_path(const char *option, const char *url, struct error *err)
{
	const char *path = url;

	if (strncmp(url, "file://", 7) == 0)
		path = url + 7;
	else if (strncmp(url, "file:", 5) == 0)
		path = url + 5;
	else
		path = "";
	if (path[0])
		return path;
	error_set(err, -EINVAL, "%s: \"%.80s\" is not of the form file:///DIRECTORY", option, url);
	return NULL;
}

static int parse_incoming(struct restore_request *restore, const char *text, struct error *err)
{
	if (!command_line_url_path("--incoming", text, err))
		return err->code;
	return option_set_string(&restore->source_url, text, strlen(text));
}

static int parse_string(const char *option, char **target, const char *text, struct error *err)
{
	if ((*target)[0])
		return error_set(err, -EINVAL, "%s is given twice", option);
	return option_set_string(target, text, strlen(text));
}

static int parse_vm_option(struct parse_state *state, int key, const char *text)
{
	Bulkhead__Config__Vm *config = state->line->config;

	switch (key) {
	case KEY_KERNEL:
		return parse_string("--kernel", &config->payload->kernel, text, state->err);
	case KEY_INITRAMFS:
		return parse_string("--initramfs", &config->payload->initramfs, text, state->err);
	case KEY_CMDLINE:
		return parse_string("--cmdline", &config->payload->cmdline, text, state->err);
	case KEY_CPUS:
		return parse_cpus(config, text, state->err);
	case KEY_MEMORY:
		return parse_memory(config, text, state->err);
	case KEY_DISK:
		return parse_disk(config, text, state->err);
	case KEY_RNG:
		return parse_rng(config, text, state->err);
	case KEY_CONSOLE:
		return parse_console(config, text, state->err);
	case KEY_SERIAL:
		return parse_terminal("--serial", text, &config->serial->mode,
				      &config->serial->path, state->err);
	default:
		return -ENOENT;
	}
}

static int check_uid_range(const char *text, struct error *err)
{
	uint32_t base, count;

	if (uid_range_parse(text, &base, &count, err) == 0)
		return 0;
	return error_prefix(err, "--uid-range %s", text);
}

static int check_stages(const char *text, struct error *err)
{
	uint32_t stages;

	if (sandbox_stages_parse(text, &stages, err) == 0)
		return 0;
	return error_prefix(err, "--allow-missing-sandbox");
}

static int parse_process_option(struct parse_state *state, int key, const char *text)
{
	struct command_line *line = state->line;

	switch (key) {
	case KEY_SECCOMP:
		return parse_seccomp(text, &line->seccomp, state->err);
	case KEY_UID_RANGE:
		line->uid_range = text;
		return check_uid_range(text, state->err);
	case KEY_RESTORE:
		return parse_restore(&line->restore, text, state->err);
	case KEY_INCOMING:
		return parse_incoming(&line->restore, text, state->err);
	case KEY_FORCE:
		line->restore.force = true;
		return 0;
	case KEY_CONFIG:
		line->config_file = text;
		return 0;
	case KEY_NAME:
		return parse_string("--name", &line->config->name, text, state->err);
	case KEY_ALLOW_MISSING:
		line->allow_missing = text;
		return check_stages(text, state->err);
	case KEY_LOG_FILE:
		line->log_file = text;
		return 0;
	case KEY_LOG_FORMAT:
		return parse_log_format(text, &line->log_json, state->err);
	case 'v':
		if (line->log_level < LOG_LEVEL_DEBUG)
			line->log_level++;
		return 0;
	default:
		return -ENOENT;
	}
}

static int parse_control_option(struct parse_state *state, int key, const char *text)
{
	struct control_settings *settings = &state->line->control;

	switch (key) {
	case KEY_API_SOCKET:
		return control_settings_add_api_socket(settings, text, state->err);
	case KEY_QMP:
		return control_settings_add_qmp(settings, text, state->err);
	case KEY_METRICS_SOCKET:
		return control_settings_add_metrics_socket(settings, text, state->err);
	case KEY_EVENT_MONITOR:
		return control_settings_set_event_monitor(settings, text, state->err);
	default:
		return -ENOENT;
	}
}

/* Of most options a second one would silently take the place of the first. */
static int check_first(struct parse_state *state, int key)
{
	const struct argp_option *option = options;

	if (key < KEY_KERNEL || key >= KEY_END || key == KEY_DISK || key == KEY_API_SOCKET ||
	    key == KEY_QMP || key == KEY_METRICS_SOCKET)
		return 0;
	if (!state->seen[key - KEY_KERNEL]) {
		state->seen[key - KEY_KERNEL] = true;
		return 0;
	}
	while (option->key != key)
		option++;
	return error_set(state->err, -EINVAL, "--%s is given twice", option->name);
}

/* libvirt's driver for Cloud Hypervisor asks a program of that name, which may be a link to this.
 */
static void print_version(const char *program)
{
	const char *name = strrchr(program, '/');

	if (strcmp(name ? name + 1 : program, "cloud-hypervisor") == 0)
		(void)puts("cloud-hypervisor v" CLOUD_HYPERVISOR_VERSION);
	else
		printf("bulkhead v%s\n", BULKHEAD_VERSION);
}

/* True for a question that is answered instead of running anything. */
static bool answer(const struct argp *argp, const char *program, int key)
{
	if (key == KEY_HELP)
		argp_help(argp, stdout, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_DOC,
			  (char[]){"bulkhead"});
	else if (key == 'V')
		print_version(program);
	return key == KEY_HELP || key == 'V';
}

static error_t parse_option(int key, char *text, struct argp_state *argp_state)
{
	struct parse_state *state = argp_state->input;
	int result;

	if (answer(argp_state->root_argp, argp_state->argv[0], key)) {
		state->answered = true;
		return ECANCELED;
	}
	if (check_first(state, key) < 0)
		return -state->err->code;
	if (key == ARGP_KEY_ARG) {
		/* `--disk path=a path=b`: a word of its own belongs to the list before it. */
		if (state->last_key == KEY_DISK)
			return -parse_vm_option(state, KEY_DISK, text);
		return -error_set(state->err, -EINVAL, "unexpected argument \"%s\"", text);
	}
	result = parse_vm_option(state, key, text);
	if (result == 0)
		state->line->has_vm = true;
	else if (result == -ENOENT)
		result = parse_process_option(state, key, text);
	if (result == -ENOENT)
		result = parse_control_option(state, key, text);
	if (result == -ENOENT)
		return ARGP_ERR_UNKNOWN;
	state->last_key = key;
	return -result;
}

int command_line_parse(int argc, char **argv, struct command_line *line, struct error *err)
{
	static const struct argp argp = {options, parse_option, NULL, documentation,
					 NULL,	  NULL,		NULL};
	static char incoming[] = "--incoming";
	struct parse_state state = {.line = line, .err = err};

	*line = (struct command_line){
		.log_level = LOG_LEVEL_WARNING,
		.restore = {.source_url = (char *)(uintptr_t)protobuf_c_empty_string,
			    .memory_restore_mode = (char *)(uintptr_t)protobuf_c_empty_string},
	};
	line->config = vm_config_new();
	if (!line->config)
		return error_set(err, -ENOMEM, "out of memory");
	for (int i = 1; i < argc; i++) /* as QEMU and StratoVirt write it */
		if (strcmp(argv[i], "-incoming") == 0)
			argv[i] = incoming;
	if (argp_parse(&argp, argc, argv,
		       ARGP_IN_ORDER | ARGP_NO_EXIT | ARGP_NO_HELP | ARGP_NO_ERRS, NULL, &state)) {
		if (state.answered)
			return 1;
		if (!err->code)
			(void)option_blame(options, argc, argv, err);
		return err->code;
	}
	if (line->config_file && (line->has_vm || line->restore.source_url[0]))
		return error_set(
			err, -EINVAL,
			"--config describes the whole VM: leave out --kernel, --disk, --restore …");
	if (line->restore.force && !line->restore.source_url[0])
		return error_set(err, -EINVAL, "--force is for --restore, which is not given");
	if (line->restore.source_url[0] || !line->has_vm)
		return 0;
	return vm_config_complete(line->config, err);
}

void command_line_destroy(struct command_line *line)
{
	vm_config_free(line->config);
	line->config = NULL;
	option_free_string(line->restore.source_url);
	option_free_string(line->restore.memory_restore_mode);
}
