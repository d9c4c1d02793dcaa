// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include "addr.h"
#include "proto.h"

bool addr_parse(const char *s, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	out->len = strchr(s, ':') ? 16 : 4;
	return inet_pton(out->len == 16 ? AF_INET6 : AF_INET, s, out->b) == 1;
}

const char *addr_str(const struct addr *a, char buf[static ADDR_STRLEN])
{
	if (!a->len || !inet_ntop(a->len == 16 ? AF_INET6 : AF_INET, a->b, buf, ADDR_STRLEN))
		strcpy(buf, "none");
	return buf;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

void addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	if (ss->ss_family == AF_INET) {
		out->len = 4;
		memcpy(out->b, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		out->len = 16;
		memcpy(out->b, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	}
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->len == 16) {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		memcpy(&sin6->sin6_addr, a->b, 16);
		return sizeof(*sin6);
	} else {
		struct sockaddr_in *sin = (struct sockaddr_in *)out;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->b, 4);
		return sizeof(*sin);
	}
}

static void mask(struct prefix *p)
{
	unsigned int bytes = (p->plen + 7u) / 8;

	if (p->plen % 8)
		p->b[bytes - 1] &= (uint8_t)(0xff << (8 - p->plen % 8));
	memset(p->b + bytes, 0, sizeof(p->b) - bytes);
}

bool prefix_parse(const char *s, struct prefix *out)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_STRLEN], *end;
	struct addr a;
	unsigned long plen;

	memset(out, 0, sizeof(*out));
	if (!slash || (size_t)(slash - s) >= sizeof(text) || slash[1] < '0' || slash[1] > '9')
		return false;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (!addr_parse(text, &a))
		return false;
	plen = strtoul(slash + 1, &end, 10);
	if (*end || plen > a.len * 8u)
		return false;
	out->afi = a.len == 16 ? AFI_IPV6 : AFI_IPV4;
	out->plen = (uint8_t)plen;
	memcpy(out->b, a.b, sizeof(out->b));
	mask(out);
	/* Host bits set is a slip of the pen more often than a wish: refused. */
	return !memcmp(out->b, a.b, a.len);
}

const char *prefix_str(const struct prefix *p, char buf[static PREFIX_STRLEN])
{
	char text[ADDR_STRLEN];

	inet_ntop(p->afi == AFI_IPV6 ? AF_INET6 : AF_INET, p->b, text, sizeof(text));
	snprintf(buf, PREFIX_STRLEN, "%s/%u", text, p->plen);
	return buf;
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int d = a->afi - b->afi;

	if (!d)
		d = memcmp(a->b, b->b, sizeof(a->b));
	return d ? d : a->plen - b->plen;
}

size_t prefix_encode(const struct prefix *p, uint8_t *out)
{
	size_t bytes = (p->plen + 7u) / 8;

	out[0] = p->plen;
	memcpy(out + 1, p->b, bytes);
	return 1 + bytes;
}

size_t prefix_decode(uint8_t afi, const uint8_t *in, size_t len, struct prefix *out)
{
	size_t bytes;

	if (!len || in[0] > (afi == AFI_IPV6 ? 128 : 32))
		return 0;
	bytes = (in[0] + 7u) / 8;
	if (1 + bytes > len)
		return 0;
	memset(out, 0, sizeof(*out));
	out->afi = afi;
	out->plen = in[0];
	memcpy(out->b, in + 1, bytes);
	mask(out);
	return 1 + bytes;
}
