/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may connect. The gateway lives in a user namespace and cannot tell; it shows the connection
 * to the core, which can. The file mode 0600 keeps others out already; a socket that was handed
 * over may have any mode.
 */
#include <errno.h>
#include <sys/socket.h>

#include "vmm/core/control/control_parts.h"

#define UNMAPPED_UID 65534U /* another user, seen from a user namespace of ours */

static bool uid_is_welcome(const struct control *control, uid_t uid)
{
	if (uid == 0 || uid == control->options.owner_uid)
		return true;
	/* Started by an ordinary user, root looks like anybody else. Our own sockets let nobody
	 * else in. */
	if (uid != UNMAPPED_UID || control->options.owner_uid == 0)
		return false;
	return !control->has_given_socket;
}

int control_check_client(struct control *control, Bulkhead__Control__Role role, int fd,
			 struct error *err)
{
	static const char *const names[] = {"control", "API", "QMP", "metrics"};
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	const char *name = (unsigned)role < sizeof(names) / sizeof(*names) ? names[role] : names[0];
	uint32_t suppressed = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0 ||
	    length != sizeof(credentials))
		return error_set_errno(err, -errno, "credentials of a client");
	if (!uid_is_welcome(control, credentials.uid)) {
		if (log_ratelimit_allow(&control->client_log, &suppressed))
			log_warning("%s client turned away: uid %u, process %d", name,
				    credentials.uid, credentials.pid);
		return error_set(err, -EACCES, "uid %u may not control this VM", credentials.uid);
	}
	log_info("%s client: uid %u, gid %u, process %d", name, credentials.uid, credentials.gid,
		 credentials.pid);
	return 0;
}
