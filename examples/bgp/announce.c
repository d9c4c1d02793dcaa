// SPDX-License-Identifier: GPL-2.0-only
/*
 * Announcing: Adj-RIB-Out is made equal to the networks in force, UPDATE by UPDATE. There is no
 * queue: what is still to be said is the difference of two tables, both of them replicated. So after
 * a takeover the same walk finishes what the other box had begun, and says nothing twice.
 */
#include "bgp.h"

#define PUMP_MESSAGES	64u	/* per turn of the event loop: others want to be heard, too */
#define LOCAL_PREF	100u	/* RFC 4271: required towards an internal peer */

struct batch {
	struct session *s;
	struct route *from;		/* the first route whose word has not been said */
	struct update_builder b;
	struct attrs *attrs;		/* owned; NULL: withdrawals */
	bool open;
	unsigned int sent;
};

static const struct addr *next_hop(const struct session *s, uint8_t afi)
{
	const struct config *cfg = s->peer->bgp->cfg;
	const struct addr *set = afi == AFI_IPV4 ? &cfg->next_hop4 : &cfg->next_hop6;

	if (set->len)
		return set;
	return s->local.len == (afi == AFI_IPV4 ? 4 : 16) ? &s->local : NULL;
}

/* What this peer should hear of a network; NULL: nothing. The caller owns the reference. */
static struct attrs *compose(const struct session *s, uint8_t afi, const struct attrs *network)
{
	const struct session_params *p = &s->params;
	const struct addr *nh = next_hop(s, afi);
	bool ibgp = p->peer_as == p->local_as;
	uint8_t path[6] = { AS_SEQUENCE, 1 }, pref[4], origin = 0;
	struct tlvs t;

	if (!nh || !(afi == AFI_IPV4 ? p->mp4 : p->mp6))
		return NULL;
	t.len = network->len;
	put_bytes(t.buf, network->tlv, network->len);
	put32(path + 2, p->local_as);
	put32(pref, LOCAL_PREF);
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_ORIGIN, &origin, 1);
	tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_AS_PATH, path, ibgp ? 0 : sizeof(path));
	if (ibgp)
		tlv_add(&t, ATTR_F_TRANSITIVE, ATTR_LOCAL_PREF, pref, sizeof(pref));
	return attrs_intern(nh->b, nh->len, &t);
}

/* Sends what has been collected, and only then enters it: a message that the socket does not take
 * changes nothing. False: not now. */
static bool flush(struct batch *batch)
{
	struct session *s = batch->s;
	uint8_t msg[BGP_MSG_MAX];
	bool open = batch->open;
	struct prefix p;
	size_t at;

	batch->open = false;
	if (!open || !batch->b.nlri_len)
		return true;
	if (!session_send(s, msg, update_end(&batch->b, msg)))
		return false;
	batch->sent++;
	for (at = 0; at < batch->b.nlri_len;) {
		at += prefix_decode(batch->b.afi, batch->b.nlri + at, batch->b.nlri_len - at, &p);
		if (batch->attrs) {
			rib_set(&s->out, &p, attrs_get(batch->attrs));
			replica_put_route(s, STATE_OUT, &p, batch->attrs);
		} else {
			rib_del(&s->out, &p);
			replica_del_route(s, STATE_OUT, &p);
		}
	}
	replica_message_done(s->peer->bgp);
	return true;
}

/* False: the socket is full. attrs NULL: withdraw. */
static bool add(struct batch *batch, struct route *r, struct attrs *attrs)
{
	const struct prefix *p = &r->prefix;

	if (batch->open && batch->attrs == attrs && batch->b.afi == p->afi &&
	    update_add(&batch->b, p))
		return true;
	if (!batch->from)
		batch->from = r;
	if (!flush(batch))
		return false;
	batch->from = r;
	attrs_put(batch->attrs);
	batch->attrs = attrs_get(attrs);
	/* Attributes of our own making fit: the configuration bounds them. */
	batch->open = update_begin(&batch->b, attrs, p->afi, batch->s->params.as4);
	return !batch->open || update_add(&batch->b, p);
}

static bool walk_networks(struct session *s, struct batch *batch)
{
	struct rib *networks = &s->peer->bgp->networks;
	struct attrs *wanted = NULL;
	struct route *r, *out;
	bool ok = true;

	while (ok && batch->sent < PUMP_MESSAGES && (r = rib_next(networks, &s->walk))) {
		wanted = compose(s, r->prefix.afi, r->attrs);
		out = rib_find(&s->out, &r->prefix);
		if (wanted && !(out && out->attrs == wanted && out->seen))
			ok = add(batch, r, wanted);
		attrs_put(wanted);
	}
	return ok && flush(batch);
}

static bool walk_withdrawals(struct session *s, struct batch *batch)
{
	struct route *r, *network;
	struct attrs *wanted;
	bool ok = true;

	while (ok && batch->sent < PUMP_MESSAGES && (r = rib_next(&s->out, &s->walk))) {
		network = rib_find(&s->peer->bgp->networks, &r->prefix);
		wanted = network ? compose(s, r->prefix.afi, network->attrs) : NULL;
		if (!wanted)
			ok = add(batch, r, NULL);
		attrs_put(wanted);
	}
	return ok && flush(batch);
}

static void stop(struct session *s)
{
	rib_stop(&s->peer->bgp->networks, &s->walk);
	rib_stop(&s->out, &s->walk);
	s->phase = ANNOUNCE_IDLE;
}

void announce_start(struct session *s)
{
	stop(s);
	s->phase = ANNOUNCE_NETWORKS;
	rib_start(&s->peer->bgp->networks, &s->walk);
	bgp_kick(s->peer->bgp);
}

/* `seen` in Adj-RIB-Out: said since the peer asked last. */
void announce_refresh(struct session *s, uint8_t afi)
{
	struct route *r;

	*(afi == AFI_IPV4 ? &s->params.resend4 : &s->params.resend6) = true;
	for (r = s->out.first; r; r = r->next)
		if (r->prefix.afi == afi)
			r->seen = false;
	replica_put_session(s);
	announce_start(s);
}

static void done(struct session *s)
{
	stop(s);
	if (!s->params.resend4 && !s->params.resend6)
		return;
	s->params.resend4 = s->params.resend6 = false;
	replica_put_session(s);
}

/* The walk goes on with what the socket did not take, and not from the start: a large table would be
 * walked as many times as it fills a send buffer. Whatever changes the networks starts anew. */
static void go_back(struct session *s, struct rib *rib, struct route *to)
{
	rib_start(rib, &s->walk);
	s->walk.at = to;
	bgp_kick(s->peer->bgp);
}

bool announce_pump(struct session *s)
{
	struct batch batch = { .s = s };
	bool ok;

	if (s->phase == ANNOUNCE_IDLE || s->blocked || s->rest_len || !s->live)
		return false;
	if (s->phase == ANNOUNCE_NETWORKS)
		ok = walk_networks(s, &batch);
	else
		ok = walk_withdrawals(s, &batch);
	attrs_put(batch.attrs);
	if (!ok) {
		go_back(s, s->phase == ANNOUNCE_NETWORKS ? &s->peer->bgp->networks : &s->out, batch.from);
		return false;
	}
	if (s->walk.at || batch.sent >= PUMP_MESSAGES)
		return true;
	if (s->phase == ANNOUNCE_WITHDRAWALS) {
		done(s);
		return false;
	}
	s->phase = ANNOUNCE_WITHDRAWALS;
	rib_start(&s->out, &s->walk);
	return true;
}
