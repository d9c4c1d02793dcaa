// SPDX-License-Identifier: GPL-2.0-only
/*
 * Digest of the store: SHA-256 of each record, summed lane by lane (mod 2^64). The sum does not depend on
 * the order in which records came, and is kept up to date with each change, so asking for it is free.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include "attr.h"
#include "store_priv.h"

/* What describes the connection on any box. Not: cursors (they differ by what is on its way), cookie,
 * phase and adoption (a box's own), and types that this version does not know. */
static const uint16_t digested[] = {
	TCP_NSR_A_CONN_RULE_ID, TCP_NSR_A_CONN_FAMILY, TCP_NSR_A_CONN_LADDR, TCP_NSR_A_CONN_RADDR,
	TCP_NSR_A_CONN_LPORT, TCP_NSR_A_CONN_RPORT, TCP_NSR_A_CONN_STATE, TCP_NSR_A_CONN_MODE,
	TCP_NSR_A_CONN_GAP, TCP_NSR_A_CONN_ISS, TCP_NSR_A_CONN_IRS, TCP_NSR_A_CONN_SND_WSCALE,
	TCP_NSR_A_CONN_RCV_WSCALE, TCP_NSR_A_CONN_MSS_CLAMP, TCP_NSR_A_CONN_ADVMSS,
};

/* One piece of a record: where it ends must be unmistakable, so its length goes in first. */
static void piece(gnutls_hash_hd_t h, const void *p, size_t len)
{
	uint64_t n = len;

	gnutls_hash(h, &n, sizeof(n));
	if (len)
		gnutls_hash(h, p, len);
}

static void finish(struct nsr_store *st, gnutls_hash_hd_t h, uint64_t digest[4])
{
	int i;

	_Static_assert(sizeof(uint64_t[4]) == NSR_STORE_DIGEST, "four lanes");
	gnutls_hash_deinit(h, digest);
	for (i = 0; i < 4; i++)
		st->sum[i] += digest[i];
}

void store_digest_sub(struct nsr_store *st, uint64_t digest[4])
{
	int i;

	for (i = 0; i < 4; i++)
		st->sum[i] -= digest[i];
	memset(digest, 0, 4 * sizeof(digest[0]));
}

static const struct nlattr *rec_find(const struct nsr_store_conn *c, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(c->rec, c->rec_len)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

void store_conn_digest(struct nsr_store_conn *c)
{
	uint32_t flags = c->flags & ~TCP_NSR_CONN_F_EXACT;
	uint8_t vouched[2] = { c->has_rcv, c->has_snd };
	uint64_t pos[3] = { c->rcv_consumed, c->rcv_tail_end, c->snd_written };
	gnutls_hash_hd_t h;
	size_t i;

	store_digest_sub(c->store, c->digest);
	if (!c->present || gnutls_hash_init(&h, GNUTLS_DIG_SHA256))
		return;
	piece(h, "conn", 4);
	piece(h, &c->id, sizeof(c->id));
	piece(h, &flags, sizeof(flags));
	for (i = 0; i < sizeof(digested) / sizeof(digested[0]); i++) {
		const struct nlattr *a = rec_find(c, digested[i]);

		piece(h, a ? attr_data(a) : "", a ? attr_len(a) : 0);
	}
	piece(h, vouched, sizeof(vouched));
	piece(h, pos, sizeof(pos));
	piece(h, c->app ? c->app->name : "", c->app ? strlen(c->app->name) : 0);
	finish(c->store, h, c->digest);
}

void store_state_digest(struct nsr_store *st, struct nsr_store_state *s)
{
	uint64_t id = s->conn ? s->conn->id : 0;
	gnutls_hash_hd_t h;

	store_digest_sub(st, s->digest);
	if ((s->conn && !s->conn->present) || gnutls_hash_init(&h, GNUTLS_DIG_SHA256))
		return;
	piece(h, "state", 5);
	piece(h, s->app->name, strlen(s->app->name));
	piece(h, &id, sizeof(id));
	piece(h, s->key, s->key_len);
	piece(h, s->value, s->value_len);
	finish(st, h, s->digest);
}

void nsr_store_digest(const struct nsr_store *st, uint8_t digest[NSR_STORE_DIGEST])
{
	memcpy(digest, st->sum, NSR_STORE_DIGEST);
}
