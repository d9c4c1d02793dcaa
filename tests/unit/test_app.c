// SPDX-License-Identifier: GPL-2.0-only
/* The application socket: an active box and a standby one, with clients that speak (and misspeak) for libnsr. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "../../lib/wire.h"
#include "sync_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct box a, b;			/* a: active, b: standby */
static char dirs[2][64];

static int make(void **unused)
{
	struct box *both[2] = { &a, &b };

	(void)unused;
	box_init(&a, 1, ROLE_ACTIVE);
	box_init(&b, 2, ROLE_SYNC);
	b.inject = true;
	for (int i = 0; i < 2; i++) {
		snprintf(dirs[i], sizeof(dirs[i]), "/tmp/nsr-test-XXXXXX");
		assert_non_null(mkdtemp(dirs[i]));
		chmod(dirs[i], 0755);
		snprintf(both[i]->cfg.run_dir, sizeof(both[i]->cfg.run_dir), "%s", dirs[i]);
		both[i]->n.apps = app_server_create(&both[i]->n);
		assert_non_null(both[i]->n.apps);
	}
	app_role(&a.g, NSR_ROLE_ACTIVE, 5, 0);
	app_role(&b.g, NSR_ROLE_STANDBY, 5, 0);
	return 0;
}

static void close_shadows(struct box *x)
{
	struct nsr_store_conn *c;

	for (c = nsr_store_conn_next(x->g.store, NULL); c; c = nsr_store_conn_next(x->g.store, c)) {
		int *fd = c->priv;

		if (fd && *fd >= 0)
			close(*fd);
		free(fd);
		c->priv = NULL;
	}
}

static int drop(void **unused)
{
	(void)unused;
	link_destroy(a.n.link);
	link_destroy(b.n.link);
	a.n.link = b.n.link = NULL;
	app_server_destroy(a.n.apps);
	app_server_destroy(b.n.apps);
	a.n.apps = b.n.apps = NULL;
	close_shadows(&b);
	sync_group_destroy(a.g.sync);
	sync_group_destroy(b.g.sync);
	rmdir(dirs[0]);
	rmdir(dirs[1]);
	return 0;
}

/* ---- a client ---- */

struct client {
	int fd;
	uint32_t out, in;
	uint8_t buf[NSR_APP_MSG_MAX] __attribute__((aligned(8)));
	uint8_t tx[NSR_APP_MSG_MAX] __attribute__((aligned(8)));
	struct nsr_wire w;
	int got;			/* descriptor of the last message; -1 */
};

static struct client c1, c2;

static void dial(struct client *c, struct box *x)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memset(c, 0, sizeof(*c));
	c->got = -1;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.90s/app.sock", x->cfg.run_dir);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
}

static struct nsr_wire_buf start(struct client *c, unsigned int type)
{
	struct nsr_wire_buf w;

	nsr_wire_begin(&w, c->tx, sizeof(c->tx), type);
	return w;
}

static void say(struct client *c, struct nsr_wire_buf *w)
{
	size_t len = nsr_wire_end(w, ++c->out);

	assert_true(len);
	assert_int_equal(send(c->fd, c->tx, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say_plain(struct client *c, unsigned int type)
{
	struct nsr_wire_buf w = start(c, type);

	say(c, &w);
}

static bool receive(struct client *c)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { c->buf, sizeof(c->buf) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const char *why;

	if (n < 0 && (errno == EAGAIN || errno == ECONNRESET))
		return false;
	assert_true(n >= 0);
	memset(&c->w, 0, sizeof(c->w));
	if (!n)
		return true;		/* type 0: closed */
	assert_int_equal(nsr_wire_decode(c->buf, (size_t)n, &c->w, &why), 0);
	assert_int_equal(c->w.seq, ++c->in);
	if (c->got >= 0)
		close(c->got);
	c->got = -1;
	if (CMSG_FIRSTHDR(&mh))
		memcpy(&c->got, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
	return true;
}

static void expect(struct client *c, unsigned int type)
{
	box_until(receive(c));
	assert_int_equal(c->w.type, type);
}

static void expect_nothing(struct client *c)
{
	box_turns(10);
	if (receive(c))
		fail_msg("message %u came unasked", c->w.type);
}

static void hang_up(struct client *c)
{
	close(c->fd);
	if (c->got >= 0)
		close(c->got);
	box_turns(5);
}

static void hello_as(struct client *c, const char *group, const char *app, uint16_t major)
{
	struct nsr_wire_buf w = start(c, NSR_APP_HELLO);

	nsr_wire_put_u16(&w, NSR_APP_A_SCHEMA_MAJOR, major);
	nsr_wire_put_u16(&w, NSR_APP_A_SCHEMA_MINOR, 0);
	nsr_wire_put_str(&w, NSR_APP_A_GROUP, group);
	nsr_wire_put_str(&w, NSR_APP_A_APP, app);
	say(c, &w);
}

static void hello(struct client *c, struct box *x, const char *app)
{
	dial(c, x);
	hello_as(c, "edge", app, TCP_NSR_SCHEMA_MAJOR);
	expect(c, NSR_APP_WELCOME);
	assert_int_equal(nsr_wire_u32(&c->w, NSR_APP_A_GROUP_ID), 7);
}

static void expect_refused(struct client *c, int err, const char *word)
{
	expect(c, NSR_APP_REFUSED);
	assert_int_equal(nsr_wire_u32(&c->w, NSR_APP_A_ERRNO), err);
	if (!strstr(nsr_wire_str(&c->w, NSR_APP_A_TEXT), word))
		fail_msg("\"%s\" does not say \"%s\"", nsr_wire_str(&c->w, NSR_APP_A_TEXT), word);
	expect(c, 0);
	hang_up(c);
}

/* On an active: SNAPSHOT, answered with nothing. */
static void hello_active(struct client *c, const char *app)
{
	struct nsr_wire_buf w;
	uint32_t epoch;

	hello(c, &a, app);
	assert_int_equal(nsr_wire_u8(&c->w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	expect(c, NSR_APP_SNAPSHOT);
	epoch = nsr_wire_u32(&c->w, NSR_APP_A_EPOCH);
	w = start(c, NSR_APP_SNAPSHOT_DONE);
	nsr_wire_put_u32(&w, NSR_APP_A_EPOCH, epoch);
	say(c, &w);
	box_turns(3);
}

static void attach(struct client *c, uint32_t handle, const struct nsr_store_tuple *t, uint64_t consumed,
		   uint64_t written)
{
	struct nsr_wire_buf w = start(c, NSR_APP_ATTACH);
	size_t len = t->family == AF_INET ? 4 : 16;

	nsr_wire_put_u32(&w, NSR_APP_A_HANDLE, handle);
	nsr_wire_put_u8(&w, NSR_APP_A_FAMILY, t->family);
	nsr_wire_put_bytes(&w, NSR_APP_A_LADDR, t->laddr, len);
	nsr_wire_put_bytes(&w, NSR_APP_A_RADDR, t->raddr, len);
	nsr_wire_put_u16(&w, NSR_APP_A_LPORT, t->lport);
	nsr_wire_put_u16(&w, NSR_APP_A_RPORT, t->rport);
	nsr_wire_put_u64(&w, NSR_APP_A_COOKIE, 1);
	nsr_wire_put_u64(&w, NSR_APP_A_RCV_CONSUMED, consumed);
	nsr_wire_put_u64(&w, NSR_APP_A_RCV_TAIL_END, consumed);
	nsr_wire_put_u64(&w, NSR_APP_A_SND_WRITTEN, written);
	say(c, &w);
}

/* One whole transaction: a PUT, bound by id, by handle, or not at all. */
static void put(struct client *c, uint64_t txn, uint64_t id, uint32_t handle, const char *key, const char *val)
{
	struct nsr_wire_buf w = start(c, NSR_APP_TXN);

	nsr_wire_put_u64(&w, NSR_APP_A_TXN, txn);
	nsr_wire_op_begin(&w, NSR_APP_OP_PUT, id, handle);
	nsr_wire_put_bytes(&w, NSR_APP_A_KEY, key, strlen(key));
	nsr_wire_put_bytes(&w, NSR_APP_A_VALUE, val, strlen(val));
	nsr_wire_op_end(&w);
	nsr_wire_put_flag(&w, NSR_APP_A_LAST);
	say(c, &w);
}

static struct nsr_store_state *state_of(struct box *x, const char *app, const char *key)
{
	struct nsr_store_app *sa = nsr_store_app_find(x->g.store, app);
	struct nsr_store_state *s;

	if (sa)
		list_for_each(s, &sa->states, app_node)
			if (s->key_len == strlen(key) && !memcmp(s->key, key, s->key_len))
				return s;
	return NULL;
}

/* ---- refusals ---- */

static void refusals_name_the_thing(void **unused)
{
	struct nsr_wire_buf w;
	char pid[32];

	(void)unused;
	dial(&c1, &a);
	hello_as(&c1, "edge", "app", TCP_NSR_SCHEMA_MAJOR + 1);
	expect_refused(&c1, EPROTO, "schema");
	dial(&c1, &a);
	hello_as(&c1, "nowhere", "app", TCP_NSR_SCHEMA_MAJOR);
	expect_refused(&c1, ENOENT, "\"nowhere\"");
	dial(&c1, &a);
	hello_as(&c1, "edge", "a b", TCP_NSR_SCHEMA_MAJOR);
	expect_refused(&c1, EPROTO, "name");
	dial(&c1, &a);
	say_plain(&c1, NSR_APP_LEFT);
	expect_refused(&c1, EPROTO, "before HELLO");
	dial(&c1, &a);
	assert_int_equal(send(c1.fd, "garbage", 7, 0), 7);
	expect_refused(&c1, EPROTO, "malformed");
	hello_active(&c1, "app");
	hello_active(&c2, "other");		/* another name is welcome */
	hang_up(&c2);
	dial(&c2, &a);
	hello_as(&c2, "edge", "app", TCP_NSR_SCHEMA_MAJOR);
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	expect_refused(&c2, EBUSY, pid);
	say_plain(&c1, NSR_APP_SYNCED);
	expect_refused(&c1, EPROTO, "only nsrd");
	hello_active(&c1, "app");
	c1.out++;				/* a message is missing */
	say_plain(&c1, NSR_APP_LEFT);
	expect_refused(&c1, EPROTO, "was due");
	hello_active(&c1, "app");
	w = start(&c1, NSR_APP_TXN);
	nsr_wire_put_u64(&w, NSR_APP_A_TXN, 1);
	nsr_wire_op_begin(&w, 77, 0, 0);
	nsr_wire_op_end(&w);
	nsr_wire_put_flag(&w, NSR_APP_A_LAST);
	say(&c1, &w);
	expect_refused(&c1, EPROTO, "transaction 1");
	hello_active(&c1, "app");		/* and a good one is still welcome */
	hang_up(&c1);
}

static void credentials_decide(void **unused)
{
	bool root = !geteuid();

	(void)unused;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	dial(&c1, &a);
	hello_as(&c1, "edge", "app", TCP_NSR_SCHEMA_MAJOR);
	expect_refused(&c1, EACCES, "no rule names it");
	a.rule.user = geteuid();
	strcpy(a.rule.application, "app");
	dial(&c1, &a);
	hello_as(&c1, "edge", "another", TCP_NSR_SCHEMA_MAJOR);
	expect_refused(&c1, EACCES, "\"another\"");
	dial(&c1, &a);
	hello_as(&c1, "edge", "app", TCP_NSR_SCHEMA_MAJOR);
	expect(&c1, NSR_APP_WELCOME);
	hang_up(&c1);
	if (root)
		assert_int_equal(seteuid(0), 0);
}

/* ---- active ---- */

static void attach_and_commit(void **unused)
{
	struct nsr_store_tuple t = rec_tuple(4), none = rec_tuple(5);
	struct nsr_store_conn *c;

	(void)unused;
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(4, 1));
	hello_active(&c1, "app");
	attach(&c1, 11, &t, 100, 200);
	expect(&c1, NSR_APP_ATTACHED);
	assert_int_equal(nsr_wire_u32(&c1.w, NSR_APP_A_HANDLE), 11);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_CONN_ID), 4);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_MODE), TCP_NSR_MODE_ADOPT);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_PROTECTED), 0);
	assert_non_null(strstr(nsr_wire_str(&c1.w, NSR_APP_A_TEXT), "standby"));
	c = nsr_store_conn_find(a.g.store, 4);
	assert_string_equal(c->app->name, "app");
	assert_int_equal(c->rcv_consumed, 100);
	assert_int_equal(c->snd_written, 200);
	put(&c1, 1, 4, 0, "by-id", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	put(&c1, 2, 0, 11, "by-handle", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_TXN), 2);
	assert_ptr_equal(state_of(&a, "app", "by-id")->conn, c);
	assert_ptr_equal(state_of(&a, "app", "by-handle")->conn, c);
	none.lport = htons(9);
	attach(&c1, 12, &none, 0, 0);
	expect(&c1, NSR_APP_ATTACHED);
	assert_false(nsr_wire_has(&c1.w, NSR_APP_A_MODE));
	assert_non_null(strstr(nsr_wire_str(&c1.w, NSR_APP_A_TEXT), "no rule"));
	put(&c1, 3, 0, 12, "unprotected", "v");	/* goes nowhere, and is no fault */
	expect(&c1, NSR_APP_TXN_ACK);
	assert_null(state_of(&a, "app", "unprotected"));
	put(&c1, 4, 999, 0, "gone", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	assert_null(state_of(&a, "app", "gone"));
	/* another application may not speak for it */
	hello_active(&c2, "thief");
	attach(&c2, 1, &t, 0, 0);
	expect(&c2, NSR_APP_ATTACHED);
	assert_false(nsr_wire_has(&c2.w, NSR_APP_A_MODE));
	put(&c2, 1, 4, 0, "mine", "v");
	expect(&c2, NSR_APP_TXN_ACK);
	assert_null(state_of(&a, "thief", "mine"));
	/* it ends in the kernel: nothing to say, the application sees its own socket */
	box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(4, 0, 0));
	assert_int_equal(nsr_store_nr_states(a.g.store), 0);
	put(&c1, 5, 0, 11, "late", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	assert_int_equal(nsr_store_nr_states(a.g.store), 0);
	assert_int_equal(nsr_store_nr_waiting(a.g.store), 0);
	hang_up(&c1);
	hang_up(&c2);
}

static void a_transaction_waits_for_the_kernels_event(void **unused)
{
	struct nsr_store_tuple t = rec_tuple(4);

	(void)unused;
	hello_active(&c1, "app");
	attach(&c1, 11, &t, 1, 2);
	put(&c1, 1, 0, 11, "k", "v");
	put(&c1, 2, 0, 0, "behind", "v");	/* may not overtake */
	expect_nothing(&c1);
	assert_int_equal(nsr_store_nr_states(a.g.store), 0);
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(4, 1));
	expect(&c1, NSR_APP_ATTACHED);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_CONN_ID), 4);
	expect(&c1, NSR_APP_TXN_ACK);
	expect(&c1, NSR_APP_TXN_ACK);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_TXN), 2);
	assert_non_null(state_of(&a, "app", "k")->conn);
	/* one that the kernel never has is answered all the same */
	t = rec_tuple(5);
	attach(&c1, 12, &t, 1, 2);
	put(&c1, 3, 0, 12, "never", "v");
	expect(&c1, NSR_APP_ATTACHED);
	assert_false(nsr_wire_has(&c1.w, NSR_APP_A_MODE));
	expect(&c1, NSR_APP_TXN_ACK);
	assert_null(state_of(&a, "app", "never"));
	hang_up(&c1);
}

static void pieces_count_with_the_last_only(void **unused)
{
	struct nsr_wire_buf w;

	(void)unused;
	hello_active(&c1, "app");
	for (int i = 0; i < 3; i++) {
		char key[16];

		w = start(&c1, NSR_APP_TXN);
		nsr_wire_put_u64(&w, NSR_APP_A_TXN, i < 2 ? 1 : 2);	/* the first is given up */
		nsr_wire_op_begin(&w, NSR_APP_OP_PUT, 0, 0);
		snprintf(key, sizeof(key), "k%d", i);
		nsr_wire_put_bytes(&w, NSR_APP_A_KEY, key, 2);
		nsr_wire_put_bytes(&w, NSR_APP_A_VALUE, "v", 1);
		nsr_wire_op_end(&w);
		if (i == 2)
			nsr_wire_put_flag(&w, NSR_APP_A_LAST);
		say(&c1, &w);
		box_turns(2);
		assert_int_equal(nsr_store_nr_states(a.g.store), i == 2);
	}
	expect(&c1, NSR_APP_TXN_ACK);
	assert_non_null(state_of(&a, "app", "k2"));
	/* one that was cut off by the client's death */
	w = start(&c1, NSR_APP_TXN);
	nsr_wire_put_u64(&w, NSR_APP_A_TXN, 3);
	nsr_wire_op_begin(&w, NSR_APP_OP_DEL, 0, 0);
	nsr_wire_put_bytes(&w, NSR_APP_A_KEY, "k2", 2);
	nsr_wire_op_end(&w);
	say(&c1, &w);
	hang_up(&c1);
	assert_non_null(state_of(&a, "app", "k2"));
}

/* The client commits a lot and exits at once, its answers unread: all of it counts. */
static void the_last_words_of_a_process_count(void **unused)
{
	(void)unused;
	hello_active(&c1, "app");
	for (uint64_t i = 1; i <= 200; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", (int)i);
		put(&c1, i, 0, 0, key, "v");
		if (!(i % 8))
			box_turns(1);
		if (i == 196)
			shutdown(c1.fd, SHUT_RD);	/* from here on answers fail */
	}
	close(c1.fd);
	box_turns(20);
	assert_int_equal(nsr_store_nr_states(a.g.store), 200);
	assert_false(app_is_attached(&a.g, "app"));
}

static void a_snapshot_replaces_what_was_there(void **unused)
{
	struct nsr_wire_buf w;
	uint32_t epoch;

	(void)unused;
	hello_active(&c1, "app");
	put(&c1, 1, 0, 0, "old", "v");
	put(&c1, 2, 0, 0, "kept", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	expect(&c1, NSR_APP_TXN_ACK);
	box_meet(&a, &b);
	box_until(b.ends && nsr_store_nr_states(b.g.store) == 2);
	hang_up(&c1);
	assert_int_equal(nsr_store_nr_states(a.g.store), 2);	/* its process may come back */
	hello(&c1, &a, "app");
	expect(&c1, NSR_APP_SNAPSHOT);
	epoch = nsr_wire_u32(&c1.w, NSR_APP_A_EPOCH);
	/* the standby hears nothing of it before it has asked for all, anew */
	assert_int_equal(a.lost, 1);
	put(&c1, 1, 0, 0, "kept", "v2");
	box_turns(20);
	assert_int_equal(nsr_store_nr_states(a.g.store), 2);
	assert_int_equal(state_of(&b, "app", "kept")->value_len, 1);
	b.g.role.state = ROLE_SYNC;
	sync_ask_snapshot(&b.g, ++b.ask);
	w = start(&c1, NSR_APP_SNAPSHOT_DONE);
	nsr_wire_put_u32(&w, NSR_APP_A_EPOCH, epoch);
	say(&c1, &w);
	box_until(b.ends == 2 && !sync_lag_records(&a.g));
	assert_int_equal(nsr_store_nr_states(a.g.store), 1);
	assert_int_equal(nsr_store_nr_states(b.g.store), 1);
	assert_digest_equal(a.g.store, b.g.store);
	hang_up(&c1);
}

static void a_standby_waits_for_a_snapshot_under_way(void **unused)
{
	struct nsr_wire_buf w;
	uint32_t epoch;

	(void)unused;
	hello(&c1, &a, "app");
	expect(&c1, NSR_APP_SNAPSHOT);
	epoch = nsr_wire_u32(&c1.w, NSR_APP_A_EPOCH);
	box_meet(&a, &b);
	box_until(a.asked);
	box_turns(20);
	assert_int_equal(b.ends, 0);
	put(&c1, 1, 0, 0, "k", "v");
	w = start(&c1, NSR_APP_SNAPSHOT_DONE);
	nsr_wire_put_u32(&w, NSR_APP_A_EPOCH, epoch);
	say(&c1, &w);
	box_until(b.ends);
	assert_int_equal(nsr_store_nr_states(b.g.store), 1);
	hang_up(&c1);
}

/* ---- standby ---- */

static void fill_pair(void)
{
	struct attr_buf ops = { 0 };

	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(1, 1));
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(2, 1));
	op_conn(&ops, 1, 10, 20, 10, "tail", 4);
	op_put(&ops, 1, "bound", "B", 1);
	op_put(&ops, 0, "free", "F", 1);
	assert_int_equal(box_txn(&a, "app", 1, &ops), 0);
	box_meet(&a, &b);
	box_until(b.ends);
}

static void expect_state(struct client *c, uint64_t conn, const char *key, const char *val)
{
	struct nsr_wire_op op;
	const char *why;
	char got[64] = "";

	expect(c, NSR_APP_TXN);
	assert_int_equal(nsr_wire_op_decode(c->w.a[NSR_APP_A_OP], &op, &why), 0);
	assert_int_equal(op.kind, val ? NSR_APP_OP_PUT : NSR_APP_OP_DEL);
	assert_int_equal(op.conn_id, conn);
	assert_int_equal(op.key_len, strlen(key));
	assert_memory_equal(op.key, key, op.key_len);
	if (!val)
		return;
	assert_int_equal(op.value_len, strlen(val));
	nsr_wire_op_bytes(&op, NSR_APP_A_VALUE, got);
	assert_string_equal(got, val);
}

static void claim(struct client *c, uint64_t id)
{
	struct nsr_wire_buf w = start(c, NSR_APP_CLAIMED);

	nsr_wire_put_u64(&w, NSR_APP_A_CONN_ID, id);
	say(c, &w);
}

/* CONN_ADDED with its descriptor, claimed. */
static void expect_added(struct client *c, uint64_t id)
{
	struct stat st;

	expect(c, NSR_APP_CONN_ADDED);
	assert_int_equal(nsr_wire_u64(&c->w, NSR_APP_A_CONN_ID), id);
	assert_true(c->got >= 0);
	assert_int_equal(fstat(c->got, &st), 0);
	claim(c, id);
	box_until(b.last_claimed == id);
}

static void a_standby_application_is_brought_up_in_order(void **unused)
{
	struct attr_buf ops = { 0 };

	(void)unused;
	fill_pair();
	hello(&c1, &b, "app");
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_STANDBY);
	expect_added(&c1, 1);
	expect_state(&c1, 1, "bound", "B");
	/* what the walk over the store passes it tells again: "bound" is not new, and harmless */
	expect(&c1, NSR_APP_TXN);
	expect(&c1, NSR_APP_SYNCED);
	/* connection 2 is nobody's yet: its first transaction says whose */
	expect_nothing(&c1);
	op_put(&ops, 2, "two", "2", 1);
	op_conn(&ops, 2, 1, 2, 0, NULL, 0);
	box_txn(&a, "app", 2, &ops);
	expect_added(&c1, 2);
	expect_state(&c1, 2, "two", "2");
	/* live */
	op_put(&ops, 1, "bound", "B2", 2);
	op_del(&ops, 0, "free");
	box_txn(&a, "app", 3, &ops);
	expect_state(&c1, 1, "bound", "B2");
	expect_state(&c1, 0, "free", NULL);
	box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(2, 0, 0));
	expect(&c1, NSR_APP_CONN_GONE);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_CONN_ID), 2);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_WHY), NSR_GONE_PEER);
	/* nothing of another application's */
	op_put(&ops, 0, "k", "v", 1);
	box_txn(&a, "other", 1, &ops);
	expect_nothing(&c1);
	hang_up(&c1);
}

static void an_application_that_is_there_first_is_told_behind_the_snapshot(void **unused)
{
	(void)unused;
	hello(&c1, &b, "app");
	expect_nothing(&c1);
	fill_pair();
	expect_added(&c1, 1);
	expect(&c1, NSR_APP_TXN);
	assert_int_equal(b.ends, 1);
	box_until(receive(&c1) && c1.w.type == NSR_APP_SYNCED);
	hang_up(&c1);
}

static void takeover_tells_role_then_tail_then_resumed(void **unused)
{
	struct nsr_store_conn *c;
	struct attr_buf rec;

	(void)unused;
	fill_pair();
	hello(&c1, &b, "app");
	box_until(receive(&c1) && c1.w.type == NSR_APP_SYNCED);
	b.g.role.state = ROLE_ACTIVE;
	/* the kernel may be faster than the role is told */
	rec = rec_cursors(1, 14, 25);
	attr_put_u8(&rec, TCP_NSR_A_CONN_PHASE, TCP_NSR_PHASE_PROVISIONAL);
	attr_put_u64(&rec, TCP_NSR_A_CONN_RCV_MISSING, 3);
	box_conn(&b, TCP_NSR_CMD_CONN_CHANGE_NTF, rec);
	c = nsr_store_conn_find(b.g.store, 1);
	app_conn_resumed(&b.g, c, false);
	expect_nothing(&c1);
	app_role(&b.g, NSR_ROLE_ACTIVE, 6, 0);
	expect(&c1, NSR_APP_ROLE);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_TERM), 6);
	expect(&c1, NSR_APP_CONN_TAIL);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_RCV_CONSUMED), 10);
	assert_int_equal(attr_len(c1.w.a[NSR_APP_A_DATA]), 4);
	assert_memory_equal(attr_data(c1.w.a[NSR_APP_A_DATA]), "tail", 4);
	expect(&c1, NSR_APP_CONN_RESUMED);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_RCV_TAIL_END), 14);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_SND_POS), 25);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_SND_WRITTEN), 20);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_RCV_MISSING), 3);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_PLANNED), 0);
	app_conn_resumed(&b.g, c, true);	/* once is enough */
	expect_nothing(&c1);			/* no SNAPSHOT either: the store has it all */
	put(&c1, 1, 1, 0, "bound", "goes on");
	/* the box of before may come back as long as the gates are closed */
	expect_nothing(&c1);
	box_gates(&b, true);
	expect(&c1, NSR_APP_TXN_ACK);
	assert_memory_equal(state_of(&b, "app", "bound")->value, "goes on", 7);
	hang_up(&c1);
}

/* The journal from where the far end is, before RESUMED; and whether nsrd's word is to be waited for. */
static void takeover_brings_the_journal(void **unused)
{
	static const uint64_t far[] = { 105, 100, 110, 99, 111 };
	struct nsr_store_conn *c;
	struct attr_buf ops = { 0 }, rec;
	int fds[5];

	(void)unused;
	for (uint64_t id = 1; id <= 5; id++) {
		rec = rec_whole(id, 1);
		attr_put_u8(&rec, TCP_NSR_A_CONN_MODE, TCP_NSR_MODE_LOSSLESS);
		box_conn(&b, TCP_NSR_CMD_CONN_ADD_NTF, rec);
		op_conn(&ops, id, 10, 110, 0, NULL, 0);
		op_journal(&ops, id, 100, "0123456789", 10);
	}
	assert_int_equal(nsr_store_txn(b.g.store, "app", ops.data, ops.len), 0);
	attr_buf_free(&ops);
	hello(&c1, &b, "app");
	b.g.role.state = ROLE_ACTIVE;
	for (uint64_t id = 1; id <= 5; id++) {
		c = nsr_store_conn_find(b.g.store, id);
		fds[id - 1] = open("/dev/null", O_RDWR | O_CLOEXEC);
		app_conn_added(&b.g, c, fds[id - 1]);
		expect(&c1, NSR_APP_CONN_ADDED);
		assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_MODE), TCP_NSR_MODE_LOSSLESS);
		c->snd_una = far[id - 1];	/* as adopted */
		close(fds[id - 1]);
	}
	app_role(&b.g, NSR_ROLE_ACTIVE, 6, 0);
	expect(&c1, NSR_APP_ROLE);
	expect(&c1, NSR_APP_SNAPSHOT);		/* this box never saw a snapshot's end */
	for (uint64_t id = 1; id <= 5; id++) {
		uint64_t pos = far[id - 1];

		app_conn_resumed(&b.g, nsr_store_conn_find(b.g.store, id), false);
		if (pos >= 100 && pos < 110) {
			expect(&c1, NSR_APP_CONN_JOURNAL);
			assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_DATA_POS), pos);
			assert_int_equal(attr_len(c1.w.a[NSR_APP_A_DATA]), 110 - pos);
			assert_memory_equal(attr_data(c1.w.a[NSR_APP_A_DATA]), &"0123456789"[pos - 100], 110 - pos);
		}
		expect(&c1, NSR_APP_CONN_RESUMED);
		assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_SND_POS), pos);
		assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_SND_WRITTEN), 110);
		expect(&c1, NSR_APP_CONN_STATUS);
		assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_PROTECTED), 1);
	}
	/* open gates: the application may go on without nsrd */
	box_gates(&b, true);
	app_conn_status(&b.g, 1);
	expect(&c1, NSR_APP_CONN_STATUS);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_PROTECTED), 0);
	assert_string_equal(nsr_wire_str(&c1.w, NSR_APP_A_TEXT), "no standby is in step");
	hang_up(&c1);
}

/* More than one connection of others, and an application that has none. */
static void others_connections_are_left_alone(void **unused)
{
	struct attr_buf ops = { 0 };

	(void)unused;
	for (uint64_t id = 1; id <= 3; id++) {
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(id, 1));
		op_conn(&ops, id, 0, 0, 0, NULL, 0);
	}
	assert_int_equal(box_txn(&a, "app", 1, &ops), 0);
	box_meet(&a, &b);
	box_until(b.ends);
	hello(&c1, &b, "another");
	expect(&c1, NSR_APP_SYNCED);
	hello(&c2, &b, "app");
	expect_added(&c2, 1);
	expect_added(&c2, 2);
	expect_added(&c2, 3);
	hang_up(&c2);
	hang_up(&c1);
}

static void an_application_that_comes_after_the_takeover_gets_its_legacy(void **unused)
{
	(void)unused;
	fill_pair();
	b.g.role.state = ROLE_ACTIVE;
	app_role(&b.g, NSR_ROLE_ACTIVE, 6, 0);
	app_conn_resumed(&b.g, nsr_store_conn_find(b.g.store, 1), true);
	hello(&c1, &b, "app");
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_STANDBY);
	expect_added(&c1, 1);
	box_until(receive(&c1) && c1.w.type == NSR_APP_SYNCED);
	expect(&c1, NSR_APP_ROLE);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	expect(&c1, NSR_APP_CONN_TAIL);
	expect(&c1, NSR_APP_CONN_RESUMED);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_PLANNED), 1);
	expect_nothing(&c1);
	hang_up(&c1);
	hello(&c1, &b, "app");			/* a second process of it has no legacy: it knows nothing */
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	expect(&c1, NSR_APP_SNAPSHOT);
	hang_up(&c1);
}

static void shadows_of_a_dead_application_are_made_anew(void **unused)
{
	struct nsr_wire_buf w;

	(void)unused;
	fill_pair();
	hello(&c1, &b, "app");
	expect_added(&c1, 1);
	box_until(receive(&c1) && c1.w.type == NSR_APP_SYNCED);
	hang_up(&c1);
	box_until(b.released == 1);
	assert_int_equal(b.last_released, 1);
	b.last_claimed = 0;
	hello(&c1, &b, "app");
	expect_added(&c1, 1);
	box_until(receive(&c1) && c1.w.type == NSR_APP_SYNCED);
	/* what it declines is made anew, and not forced upon it again */
	w = start(&c1, NSR_APP_DETACH);
	nsr_wire_put_u64(&w, NSR_APP_A_CONN_ID, 1);
	say(&c1, &w);
	box_until(b.released == 2);
	expect_nothing(&c1);
	hang_up(&c1);
	hello(&c1, &b, "app");
	expect(&c1, NSR_APP_CONN_ADDED);	/* not claimed when it dies: still ours */
	hang_up(&c1);
	assert_int_equal(b.released, 2);
	hello(&c1, &b, "app");
	expect(&c1, NSR_APP_CONN_ADDED);
	hang_up(&c1);
}

/* It closes what it had while its box was active, and has not heard yet that the role is gone. */
static void a_good_bye_to_the_old_socket_declines_no_shadow(void **unused)
{
	struct nsr_wire_buf w;

	(void)unused;
	fill_pair();
	b.last_claimed = 0;
	hello(&c1, &b, "app");
	expect(&c1, NSR_APP_CONN_ADDED);
	w = start(&c1, NSR_APP_DETACH);
	nsr_wire_put_u64(&w, NSR_APP_A_CONN_ID, 1);
	nsr_wire_put_u32(&w, NSR_APP_A_HANDLE, 7);
	say(&c1, &w);
	claim(&c1, 1);
	box_until(b.last_claimed == 1);
	assert_int_equal(b.released, 0);
	/* once it is claimed, the same word means the shadow */
	w = start(&c1, NSR_APP_DETACH);
	nsr_wire_put_u64(&w, NSR_APP_A_CONN_ID, 1);
	nsr_wire_put_u32(&w, NSR_APP_A_HANDLE, 0);
	say(&c1, &w);
	box_until(b.released == 1);
	hang_up(&c1);
}

/* Ten times what may be queued, and a client that reads late: it has all of it in the end. */
static void a_slow_standby_application_costs_no_memory(void **unused)
{
	static char value[60001];
	bool seen[300] = { false };
	unsigned int nr = 0;

	(void)unused;
	hello(&c1, &b, "app");
	box_meet(&a, &b);
	box_until(b.ends);
	expect(&c1, NSR_APP_SYNCED);
	memset(value, 'x', sizeof(value) - 1);
	for (int i = 0; i < 3000; i++) {
		struct attr_buf ops = { 0 };
		char key[16];

		snprintf(key, sizeof(key), "%d", i % 300);
		snprintf(value, 16, "%d", i);
		op_put(&ops, 0, key, value, sizeof(value) - 1);
		assert_int_equal(box_txn(&a, "app", (uint64_t)i + 1, &ops), 0);
		if (!(i % 20))
			box_turns(1);
	}
	box_until(!sync_lag_records(&a.g));
	/* SYNCED once more: behind it, it has everything */
	do {
		struct nsr_wire_op op;
		const char *why;
		static char got[70000];
		char key[16] = "";

		box_until(receive(&c1));
		if (c1.w.type != NSR_APP_TXN)
			continue;
		assert_int_equal(nsr_wire_op_decode(c1.w.a[NSR_APP_A_OP], &op, &why), 0);
		memcpy(key, op.key, op.key_len);
		nsr_wire_op_bytes(&op, NSR_APP_A_VALUE, got);
		/* the last value of each key is its number + 2700 */
		seen[atoi(key)] = !op.data_pos && atoi(got) == 2700 + atoi(key);
	} while (c1.w.type != NSR_APP_SYNCED);
	for (int i = 0; i < 300; i++)
		nr += seen[i];
	assert_int_equal(nr, 300);
	hang_up(&c1);
}

/* ---- switchover ---- */

static void all_applications_must_have_left(void **unused)
{
	(void)unused;
	assert_true(app_group_left(&a.g));	/* nobody is there */
	hello_active(&c1, "one");
	hello_active(&c2, "two");
	app_role(&a.g, NSR_ROLE_LEAVING, 5, 1234);
	assert_false(app_group_left(&a.g));
	expect(&c1, NSR_APP_ROLE);
	expect(&c2, NSR_APP_ROLE);
	assert_int_equal(nsr_wire_u32(&c2.w, NSR_APP_A_DEADLINE_MS), 1234);
	put(&c1, 1, 0, 0, "last", "v");
	expect(&c1, NSR_APP_TXN_ACK);
	say_plain(&c1, NSR_APP_LEFT);
	box_turns(5);
	assert_int_equal(a.left, 0);
	assert_string_equal(app_group_laggard(&a.g), "two");
	say_plain(&c2, NSR_APP_LEFT);
	box_until(a.left);
	app_freeze(&a.g);
	expect(&c1, NSR_APP_FROZEN);
	expect(&c2, NSR_APP_FROZEN);
	say_plain(&c1, NSR_APP_DRAINED);
	box_turns(5);
	assert_int_equal(a.drained, 0);
	assert_string_equal(app_group_laggard(&a.g), "two");
	hang_up(&c2);				/* the dead keep nobody waiting */
	box_until(a.drained);
	app_role(&a.g, NSR_ROLE_ACTIVE, 5, 0);	/* called off */
	expect(&c1, NSR_APP_ROLE);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	expect_nothing(&c1);
	hang_up(&c1);
}

static void demotion_takes_connections_and_transactions(void **unused)
{
	struct nsr_store_tuple t = rec_tuple(4);

	(void)unused;
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(4, 1));
	hello_active(&c1, "app");
	attach(&c1, 1, &t, 0, 0);
	expect(&c1, NSR_APP_ATTACHED);
	app_conn_gone(&a.g, 4, NSR_GONE_DEMOTED, "this box is no longer active");
	a.g.role.state = ROLE_SYNC;
	app_role(&a.g, NSR_ROLE_STANDBY, 6, 0);
	put(&c1, 1, 0, 0, "late", "v");		/* crossed the change of role */
	expect(&c1, NSR_APP_CONN_GONE);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_WHY), NSR_GONE_DEMOTED);
	expect(&c1, NSR_APP_ROLE);
	expect(&c1, NSR_APP_TXN_ACK);
	assert_null(state_of(&a, "app", "late"));
	hang_up(&c1);
}

/* nsrd was born again on a mute box: who heard a role now would give up sockets that may go on. */
static void nobody_is_welcome_before_the_role_is_known(void **unused)
{
	(void)unused;
	app_role(&a.g, NSR_ROLE_NONE, 0, 0);
	dial(&c1, &a);
	hello_as(&c1, "edge", "app", TCP_NSR_SCHEMA_MAJOR);
	box_turns(5);
	expect_nothing(&c1);
	assert_true(app_is_attached(&a.g, "app"));
	app_role(&a.g, NSR_ROLE_ACTIVE, 6, 0);
	expect(&c1, NSR_APP_WELCOME);
	assert_int_equal(nsr_wire_u8(&c1.w, NSR_APP_A_ROLE), NSR_ROLE_ACTIVE);
	assert_int_equal(nsr_wire_u64(&c1.w, NSR_APP_A_TERM), 6);
	expect(&c1, NSR_APP_SNAPSHOT);
	hang_up(&c1);

	app_role(&a.g, NSR_ROLE_NONE, 0, 0);
	dial(&c1, &a);
	hello_as(&c1, "edge", "app", TCP_NSR_SCHEMA_MAJOR);
	put(&c1, 1, 0, 0, "early", "v");
	expect_refused(&c1, EPROTO, "before WELCOME");
}

/* ---- garbage ---- */

/* Does the standby say that it has all, and of the same moment? */
static bool standby_ready(void)
{
	return sync_in_step(&a.g) && sync_in_step(&b.g) && !sync_lag_records(&a.g);
}

static void snapshot_done(struct client *c, uint32_t epoch)
{
	struct nsr_wire_buf w = start(c, NSR_APP_SNAPSHOT_DONE);

	nsr_wire_put_u32(&w, NSR_APP_A_EPOCH, epoch);
	say(c, &w);
}

/* The standby is ready, and holds connection 4 of "app", 100 bytes consumed, state "k" = "old". */
static void attached_pair(struct nsr_store_tuple *t)
{
	*t = rec_tuple(4);
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(4, 1));
	hello_active(&c1, "app");
	attach(&c1, 1, t, 100, 50);
	expect(&c1, NSR_APP_ATTACHED);
	put(&c1, 1, 4, 0, "k", "old");
	box_meet(&a, &b);
	box_until(b.ends == 1 && standby_ready());
	assert_int_equal(nsr_store_conn_find(b.g.store, 4)->rcv_consumed, 100);
	assert_non_null(state_of(&b, "app", "k"));
}

/*
 * The link of an application breaks, nsrd and the application live. What it committed meanwhile is in its
 * positions before it is in the state: a standby that is ready has neither.
 */
static void positions_do_not_pass_the_state(void **unused)
{
	struct nsr_store_tuple t;
	struct nsr_store_conn *c;
	uint32_t epoch;

	(void)unused;
	attached_pair(&t);
	hang_up(&c1);
	assert_true(standby_ready());		/* what it has is old, and whole */
	b.g.role.state = ROLE_READY;

	hello(&c1, &a, "app");
	attach(&c1, 1, &t, 300, 250);
	expect(&c1, NSR_APP_SNAPSHOT);
	epoch = nsr_wire_u32(&c1.w, NSR_APP_A_EPOCH);
	expect(&c1, NSR_APP_ATTACHED);
	box_turns(20);
	c = nsr_store_conn_find(b.g.store, 4);
	assert_false(sync_in_step(&a.g));
	assert_int_equal(a.lost, 1);
	assert_non_null(strstr(a.lost_why, "application app"));
	assert_int_equal(c->rcv_consumed, 100);
	assert_memory_equal(state_of(&b, "app", "k")->value, "old", 3);

	/* half of the snapshot, and a standby that asks: no END */
	put(&c1, 2, 4, 0, "j", "new");
	b.g.role.state = ROLE_SYNC;
	sync_ask_snapshot(&b.g, ++b.ask);
	box_turns(20);
	assert_int_equal(b.ends, 1);
	/* cut off again, half told: the connection lives, so it is waited for */
	hang_up(&c1);
	box_turns(20);
	assert_int_equal(b.ends, 1);
	hello(&c1, &a, "app");
	expect(&c1, NSR_APP_SNAPSHOT);
	assert_int_not_equal(epoch, nsr_wire_u32(&c1.w, NSR_APP_A_EPOCH));
	epoch = nsr_wire_u32(&c1.w, NSR_APP_A_EPOCH);
	attach(&c1, 1, &t, 300, 250);
	put(&c1, 3, 4, 0, "k", "new");
	snapshot_done(&c1, epoch);
	box_until(b.ends == 2 && standby_ready());
	assert_int_equal(nsr_store_conn_find(b.g.store, 4)->rcv_consumed, 300);
	assert_memory_equal(state_of(&b, "app", "k")->value, "new", 3);
	assert_null(state_of(&b, "app", "j"));
	hang_up(&c1);
}

/* Nobody waits for an application that left half a snapshot behind and has no connection any more. */
static void a_debt_ends_with_the_connections(void **unused)
{
	struct nsr_store_tuple t;

	(void)unused;
	attached_pair(&t);
	hang_up(&c1);
	hello(&c1, &a, "app");
	expect(&c1, NSR_APP_SNAPSHOT);
	hang_up(&c1);
	b.g.role.state = ROLE_SYNC;
	sync_ask_snapshot(&b.g, ++b.ask);
	box_turns(20);
	assert_int_equal(b.ends, 1);
	box_conn(&a, TCP_NSR_CMD_CONN_DEL_NTF, rec_cursors(4, 0, 0));
	box_until(b.ends == 2 && standby_ready());
}

static void garbage_is_survived(void **unused)
{
	static uint8_t good[2000] __attribute__((aligned(8))), junk[2000];
	struct nsr_store_tuple t = rec_tuple(4);
	struct nsr_wire_buf w;
	size_t len;

	(void)unused;
	rnd_seed(99);
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(4, 1));
	nsr_wire_begin(&w, good, sizeof(good), NSR_APP_TXN);
	nsr_wire_put_u64(&w, NSR_APP_A_TXN, 1);
	nsr_wire_op_begin(&w, NSR_APP_OP_CONN, 4, 0);
	nsr_wire_put_u64(&w, NSR_APP_A_RCV_CONSUMED, 5);
	nsr_wire_put_u64(&w, NSR_APP_A_DATA_POS, 5);
	nsr_wire_put_bytes(&w, NSR_APP_A_DATA, "abcdefgh", 8);
	nsr_wire_op_end(&w);
	nsr_wire_op_begin(&w, NSR_APP_OP_PUT, 0, 1);
	nsr_wire_put_bytes(&w, NSR_APP_A_KEY, "key", 3);
	nsr_wire_put_bytes(&w, NSR_APP_A_VALUE, "value", 5);
	nsr_wire_op_end(&w);
	nsr_wire_put_flag(&w, NSR_APP_A_LAST);
	len = nsr_wire_end(&w, 2);
	for (int round = 0; round < 3000; round++) {
		size_t n = len;

		memcpy(junk, good, len);
		for (uint32_t k = 1 + rnd(4); k; k--)
			junk[(rnd(2) ? 0 : 4) + rnd((uint32_t)len - 4)] = (uint8_t)rnd(256);
		if (!rnd(4))
			n = rnd((uint32_t)len);
		if (rnd(3))
			memcpy(junk, &(uint32_t){ (uint32_t)n }, 4);
		LLVMFuzzerTestOneInput(junk, n);
		if (round % 20)
			continue;
		hello(&c1, &a, "app");
		attach(&c1, 1, &t, 0, 0);
		((struct nlmsghdr *)junk)->nlmsg_seq = 3;
		(void)!send(c1.fd, junk, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		box_turns(2);
		hang_up(&c1);
	}
	hello(&c1, &a, "app");
	hang_up(&c1);
}

int main(void)
{
	#define T(f) cmocka_unit_test_setup_teardown(f, make, drop)
	const struct CMUnitTest tests[] = {
		T(refusals_name_the_thing),
		T(credentials_decide),
		T(attach_and_commit),
		T(a_transaction_waits_for_the_kernels_event),
		T(pieces_count_with_the_last_only),
		T(the_last_words_of_a_process_count),
		T(a_snapshot_replaces_what_was_there),
		T(a_standby_waits_for_a_snapshot_under_way),
		T(a_standby_application_is_brought_up_in_order),
		T(an_application_that_is_there_first_is_told_behind_the_snapshot),
		T(takeover_tells_role_then_tail_then_resumed), T(takeover_brings_the_journal), T(others_connections_are_left_alone),
		T(an_application_that_comes_after_the_takeover_gets_its_legacy),
		T(shadows_of_a_dead_application_are_made_anew),
		T(a_good_bye_to_the_old_socket_declines_no_shadow),
		T(a_slow_standby_application_costs_no_memory),
		T(all_applications_must_have_left),
		T(demotion_takes_connections_and_transactions),
		T(nobody_is_welcome_before_the_role_is_known),
		T(positions_do_not_pass_the_state),
		T(a_debt_ends_with_the_connections),
		T(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
