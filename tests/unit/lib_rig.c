// SPDX-License-Identifier: GPL-2.0-only
/* lib_rig: see lib_rig.h */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib_rig.h"

#define PATIENCE	2000	/* turns of 5 ms: a test that waits so long has failed */

void rig_log(struct rig *rig, const char *fmt, ...)
{
	size_t used = strlen(rig->log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rig->log + used, sizeof(rig->log) - used, fmt, ap);
	va_end(ap);
}

static void on_link(void *data, int up)
{
	rig_log(data, "link:%d ", up);
}

static void on_role(void *data, enum nsr_role role, uint64_t term, unsigned int deadline_ms)
{
	struct rig *rig = data;

	rig_log(rig, "role:%d/%d", role, (int)term);
	if (deadline_ms)
		rig_log(rig, "+%u", deadline_ms);
	rig_log(rig, " ");
	if (rig->on_role)
		rig->on_role(rig, role);
}

static void on_snapshot(void *data)
{
	struct rig *rig = data;

	rig_log(rig, "snapshot ");
	if (rig->on_snapshot)
		rig->on_snapshot(rig);
}

static void on_state(void *data, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
		     size_t vlen)
{
	struct rig *rig = data;

	rig_log(rig, "state:%s%.*s=", conn ? "conn/" : "", (int)klen, (const char *)key);
	if (!val)
		rig_log(rig, "deleted ");
	else if (vlen < 32)
		rig_log(rig, "%.*s ", (int)vlen, (const char *)val);
	else
		rig_log(rig, "(%zu) ", vlen);
	if (val)
		memcpy(rig->value, val, vlen);
	rig->value_len = vlen;
}

static void on_synced(void *data)
{
	rig_log(data, "synced ");
}

static void on_added(void *data, struct nsr_conn *conn, int fd, const struct nsr_conn_info *info)
{
	struct rig *rig = data;

	rig_log(rig, "added ");
	rig->conn = conn;
	rig->fd = fd;
	rig->info = *info;
	if (rig->close_added)
		nsr_conn_close(conn, NSR_FIN);
}

static void on_resumed(void *data, struct nsr_conn *conn, const struct nsr_resume *r)
{
	struct rig *rig = data;

	rig_log(rig, "resumed:%d/%d ", (int)r->rcv_pos, (int)r->snd_pos);
	rig->resume = *r;
	if (rig->close_resumed)
		nsr_conn_close(conn, NSR_RST);
}

static void on_gone(void *data, struct nsr_conn *conn, enum nsr_gone why)
{
	struct rig *rig = data;

	rig_log(rig, "gone:%d ", why);
	if (rig->close_gone)
		nsr_conn_close(conn, NSR_FIN);
}

static void on_writable(void *data, struct nsr_conn *conn)
{
	(void)conn;
	rig_log(data, "writable ");
}

static void on_status(void *data, struct nsr_conn *conn, const struct nsr_conn_info *info)
{
	struct rig *rig = data;

	(void)conn;
	rig->info = *info;
	rig_log(rig, "status:%d/%d ", info->mode, info->is_protected);
}

static const struct nsr_listener listener = {
	.size = sizeof(listener), .link = on_link, .role = on_role, .snapshot = on_snapshot,
	.state = on_state, .synced = on_synced, .conn_added = on_added, .conn_resumed = on_resumed,
	.conn_gone = on_gone, .conn_writable = on_writable, .conn_status = on_status,
};

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	signal(SIGPIPE, SIG_DFL);	/* the library must not raise it */
	strcpy(rig->dir, "/tmp/nsr-rig-XXXXXX");
	if (!mkdtemp(rig->dir))
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/app.sock", rig->dir);
	rig->listener = -1;
	rig->sock = -1;
	rig->close_gone = true;
	rig->mode = NSR_MODE_ADOPT;
	rig_listen(rig);
	*state = rig;
	return nsr_open(rig->path, "edge", "test", &listener, rig, &rig->nsr);
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	nsr_close(rig->nsr);
	rig_unlisten(rig);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

void rig_listen(struct rig *rig)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, rig->path);
	rig->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_return_code(rig->listener, errno);
	assert_return_code(bind(rig->listener, (void *)&addr, sizeof(addr)), errno);
	assert_return_code(listen(rig->listener, 4), errno);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void rig_unlisten(struct rig *rig)
{
	drop(&rig->listener);
	drop(&rig->sock);
	unlink(rig->path);
}

static void dispatch(struct rig *rig)
{
	int ret = nsr_dispatch(rig->nsr, 5);

	/* Final refusals are for the test that provokes one. */
	assert_true(ret >= 0 || ret == -EACCES || ret == -ENOENT || ret == -EPROTO);
}

void rig_accept(struct rig *rig)
{
	int i;

	drop(&rig->sock);
	for (i = 0; i < PATIENCE && rig->sock < 0; i++) {
		dispatch(rig);
		rig->sock = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(rig->sock >= 0);
	rig->seq_in = 0;
	rig->seq_out = 0;
	rig_expect(rig, NSR_APP_HELLO);
	assert_string_equal(nsr_wire_str(&rig->w, NSR_APP_A_GROUP), "edge");
	assert_string_equal(nsr_wire_str(&rig->w, NSR_APP_A_APP), "test");
}

void rig_welcome(struct rig *rig, enum nsr_role role, uint64_t term)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_WELCOME);

	nsr_wire_put_u32(b, NSR_APP_A_GROUP_ID, 1);
	nsr_wire_put_u8(b, NSR_APP_A_ROLE, role);
	nsr_wire_put_u64(b, NSR_APP_A_TERM, term);
	rig_send(rig);
}

void rig_up(struct rig *rig, enum nsr_role role, uint64_t term)
{
	char log[64];

	rig_accept(rig);
	rig_welcome(rig, role, term);
	snprintf(log, sizeof(log), "link:1 role:%d/%d ", role, (int)term);
	rig_expect_log(rig, log);
}

struct nsr_wire_buf *rig_begin(struct rig *rig, unsigned int type)
{
	nsr_wire_begin(&rig->b, rig->tx, sizeof(rig->tx), type);
	return &rig->b;
}

void rig_send_fd(struct rig *rig, const int *fds, size_t n)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = rig->tx };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	iov.iov_len = nsr_wire_end(&rig->b, ++rig->seq_out);
	assert_int_not_equal(iov.iov_len, 0);
	if (n) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(rig->sock, &mh, MSG_NOSIGNAL), iov.iov_len);
}

void rig_send(struct rig *rig)
{
	rig_send_fd(rig, NULL, 0);
}

void rig_send_raw(struct rig *rig, const void *p, size_t len)
{
	assert_int_equal(send(rig->sock, p, len, MSG_NOSIGNAL), len);
}

void rig_send_role(struct rig *rig, enum nsr_role role, uint64_t term)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_ROLE);

	nsr_wire_put_u8(b, NSR_APP_A_ROLE, role);
	nsr_wire_put_u64(b, NSR_APP_A_TERM, term);
	if (role == NSR_ROLE_LEAVING)
		nsr_wire_put_u32(b, NSR_APP_A_DEADLINE_MS, 3000);
	rig_send(rig);
}

void rig_send_plain(struct rig *rig, unsigned int type)
{
	rig_begin(rig, type);
	rig_send(rig);
}

static ssize_t receive(struct rig *rig)
{
	ssize_t n = recv(rig->sock, rig->rx, sizeof(rig->rx), MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

const struct nsr_wire *rig_expect(struct rig *rig, unsigned int type)
{
	ssize_t n = -EAGAIN;
	const char *why;
	int i;

	for (i = 0; i < PATIENCE && n == -EAGAIN; i++) {
		n = receive(rig);
		if (n == -EAGAIN)
			dispatch(rig);
	}
	assert_true(n > 0);
	assert_int_equal(nsr_wire_decode(rig->rx, n, &rig->w, &why), 0);
	assert_int_equal(rig->w.seq, ++rig->seq_in);
	assert_int_equal(rig->w.type, type);
	return &rig->w;
}

bool rig_nothing(struct rig *rig)
{
	int i;

	for (i = 0; i < 10; i++) {
		dispatch(rig);
		if (receive(rig) != -EAGAIN)
			return false;
	}
	return true;
}

void rig_expect_log(struct rig *rig, const char *log)
{
	int i;

	for (i = 0; i < PATIENCE && strlen(rig->log) < strlen(log); i++)
		dispatch(rig);
	assert_string_equal(rig->log, log);
	rig->log[0] = '\0';
}

bool rig_op(struct rig *rig, unsigned int i, struct nsr_wire_op *op)
{
	const struct nlattr *attr;
	const char *why;

	nsr_wire_for_each(attr, &rig->w) {
		if (mnl_attr_get_type(attr) != NSR_APP_A_OP || i--)
			continue;
		assert_int_equal(nsr_wire_op_decode(attr, op, &why), 0);
		return true;
	}
	return false;
}

void rig_tcp(int family, int *a, int *b)
{
	struct sockaddr_storage ss = { .ss_family = family };
	struct sockaddr_in6 *in6 = (void *)&ss;
	struct sockaddr_in *in = (void *)&ss;
	socklen_t len = sizeof(ss);
	int l = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		in6->sin6_addr = in6addr_loopback;
	assert_return_code(bind(l, (void *)&ss, sizeof(ss)), errno);
	assert_return_code(listen(l, 1), errno);
	assert_return_code(getsockname(l, (void *)&ss, &len), errno);
	*a = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(*a, (void *)&ss, len), errno);
	*b = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_return_code(*b, errno);
	close(l);
}

void rig_attached(struct rig *rig, uint32_t handle, uint64_t id, bool prot)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_ATTACHED);
	char log[32];

	nsr_wire_put_u32(b, NSR_APP_A_HANDLE, handle);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, id);
	nsr_wire_put_u8(b, NSR_APP_A_MODE, rig->mode - NSR_MODE_NAIVE);
	nsr_wire_put_u8(b, NSR_APP_A_PROTECTED, prot);
	rig_send(rig);
	snprintf(log, sizeof(log), "status:%d/%d ", rig->mode, prot);
	rig_expect_log(rig, log);
}

void rig_ack(struct rig *rig, uint64_t txn)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_TXN_ACK);

	nsr_wire_put_u64(b, NSR_APP_A_TXN, txn);
	rig_send(rig);
}

struct nsr_conn *rig_attach(struct rig *rig, int fd, uint64_t id)
{
	struct nsr_conn *conn;

	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	rig_expect(rig, NSR_APP_ATTACH);
	rig_attached(rig, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE), id, true);
	return conn;
}

struct nsr_conn *rig_shadow(struct rig *rig, int fd, uint64_t id)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_CONN_ADDED);

	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, id);
	nsr_wire_put_u8(b, NSR_APP_A_FAMILY, AF_INET);
	nsr_wire_put_bytes(b, NSR_APP_A_LADDR, "\x0a\x00\x00\x01", 4);
	nsr_wire_put_bytes(b, NSR_APP_A_RADDR, "\x0a\x00\x00\x02", 4);
	nsr_wire_put_u16(b, NSR_APP_A_LPORT, htons(179));
	nsr_wire_put_u16(b, NSR_APP_A_RPORT, htons(40000));
	nsr_wire_put_u8(b, NSR_APP_A_MODE, rig->mode - NSR_MODE_NAIVE);
	nsr_wire_put_u8(b, NSR_APP_A_ACTIVE_OPEN, 1);
	rig_send_fd(rig, &fd, 1);
	close(fd);			/* the library has a copy now */
	rig_expect_log(rig, "added ");
	rig_expect(rig, NSR_APP_CLAIMED);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), id);
	return rig->conn;
}

void rig_resumed(struct rig *rig, uint64_t id, uint64_t consumed, uint64_t tail_end, uint64_t snd)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_CONN_RESUMED);

	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, id);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, consumed);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_TAIL_END, tail_end);
	nsr_wire_put_u64(b, NSR_APP_A_SND_POS, snd);
	nsr_wire_put_u64(b, NSR_APP_A_SND_WRITTEN, snd);
	rig_send(rig);
}

void rig_read_all(int fd, void *buf, size_t n)
{
	assert_int_equal(recv(fd, buf, n, MSG_WAITALL), n);
}
