// SPDX-License-Identifier: GPL-2.0-only
/* For tests without application sockets: what app.c is told is counted in the box. */
#include "sync_box.h"

static struct box *box_of(const struct group *g)
{
	return (struct box *)list_entry((struct group *)g, struct box, g);
}

bool app_ask_snapshot(struct group *g, uint32_t epoch)
{
	(void)epoch;
	return box_of(g)->wait_apps;
}

void app_synced(struct group *g)
{
	box_of(g)->synced++;
}

void app_state_changed(struct group *g, struct nsr_store_state *s)
{
	assert_true(!s->conn || s->conn->present);
	box_of(g)->states++;
}

void app_txn_acked(struct group *g, const char *app, uint64_t txn)
{
	(void)app;
	if (!txn)
		return;
	box_of(g)->acks++;
	box_of(g)->last_acked = txn;
}

void app_conn_known(struct group *g, struct nsr_store_conn *c)
{
	(void)g;
	(void)c;
}

void app_conn_forget(struct group *g, const struct nsr_store_conn *c)
{
	(void)g;
	(void)c;
}

void app_conn_status(struct group *g, uint64_t conn_id)
{
	(void)g;
	(void)conn_id;
}

void app_conn_added(struct group *g, struct nsr_store_conn *c, int fd)
{
	(void)g;
	(void)c;
	(void)fd;
}

void app_conn_gone(struct group *g, uint64_t conn_id, unsigned int why, const char *text)
{
	(void)g;
	(void)conn_id;
	(void)why;
	(void)text;
}
