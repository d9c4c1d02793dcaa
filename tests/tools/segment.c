// SPDX-License-Identifier: GPL-2.0-only
/*
 * segment: sends one TCP segment made by hand, as somebody would who is not the far end's stack.
 *
 *	segment FROM PORT TO PORT [seq N] [ack N] [flags LETTERS] [win N] [ts VAL ECR] [sack START END]...
 *		[len N] [badsum] [baddoff] [count N]
 *
 * Flags are letters of FSRPAU; without "flags": A. Several "sack" make one option, in that order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static union {
	uint8_t b[2048];
	struct tcphdr th;
} seg;
static uint32_t sack[8];
static int nsack;
static bool has_ts, bad_sum, bad_doff;
static uint32_t tsval, tsecr;
static int payload, count = 1;

static void usage(void)
{
	fprintf(stderr, "usage: segment FROM PORT TO PORT [seq N] [ack N] [flags LETTERS] ...\n");
	exit(2);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long long v;

	if (!text)
		usage();
	v = strtoull(text, &end, 0);
	if (*end || end == text)
		usage();
	return v;
}

static socklen_t address(const char *text, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *in6 = (void *)ss;
	struct sockaddr_in *in = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
		usage();
	in6->sin6_family = AF_INET6;
	return sizeof(*in6);
}

static void set_flags(const char *letters)
{
	seg.th.ack = 0;
	for (; *letters; letters++) {
		switch (*letters) {
		case 'F': seg.th.fin = 1; break;
		case 'S': seg.th.syn = 1; break;
		case 'R': seg.th.rst = 1; break;
		case 'P': seg.th.psh = 1; break;
		case 'A': seg.th.ack = 1; break;
		case 'U': seg.th.urg = 1; break;
		default: usage();
		}
	}
}

static void word(char **argv, int argc, int *i)
{
	const char *w = argv[(*i)++];
	const char *a = *i < argc ? argv[*i] : NULL, *b = *i + 1 < argc ? argv[*i + 1] : NULL;

	if (!strcmp(w, "badsum")) {
		bad_sum = true;
		return;
	}
	if (!strcmp(w, "baddoff")) {
		bad_doff = true;
		return;
	}
	(*i)++;
	if (!strcmp(w, "seq")) {
		seg.th.seq = htonl(number(a));
	} else if (!strcmp(w, "ack")) {
		seg.th.ack_seq = htonl(number(a));
	} else if (!strcmp(w, "win")) {
		seg.th.window = htons(number(a));
	} else if (!strcmp(w, "len")) {
		payload = number(a) % 1400;
	} else if (!strcmp(w, "count")) {
		count = number(a);
	} else if (!strcmp(w, "flags") && a) {
		set_flags(a);
	} else if (!strcmp(w, "ts")) {
		has_ts = true;
		tsval = number(a);
		tsecr = number(b);
		(*i)++;
	} else if (!strcmp(w, "sack") && nsack < 8) {
		sack[nsack++] = number(a);
		sack[nsack++] = number(b);
		(*i)++;
	} else {
		usage();
	}
}

static int options(uint8_t *p)
{
	uint32_t v;
	int n = 0, i;

	if (has_ts) {
		memcpy(p, (uint8_t[]){ 1, 1, 8, 10 }, 4);
		v = htonl(tsval);
		memcpy(p + 4, &v, 4);
		v = htonl(tsecr);
		memcpy(p + 8, &v, 4);
		n = 12;
	}
	if (nsack) {
		memcpy(p + n, (uint8_t[]){ 1, 1, 5, 2 + nsack * 4 }, 4);
		n += 4;
		for (i = 0; i < nsack; i++, n += 4) {
			v = htonl(sack[i]);
			memcpy(p + n, &v, 4);
		}
	}
	return n;
}

static uint32_t add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t checksum(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
			 size_t len)
{
	uint32_t sum = IPPROTO_TCP + len;

	if (from->ss_family == AF_INET) {
		sum = add(sum, &((const struct sockaddr_in *)from)->sin_addr, 4);
		sum = add(sum, &((const struct sockaddr_in *)to)->sin_addr, 4);
	} else {
		sum = add(sum, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
		sum = add(sum, &((const struct sockaddr_in6 *)to)->sin6_addr, 16);
	}
	sum = add(sum, seg.b, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage from, to;
	socklen_t flen, tlen;
	int sock, i, opts;
	size_t len;

	if (argc < 5)
		usage();
	flen = address(argv[1], &from);
	tlen = address(argv[3], &to);
	seg.th.source = htons(number(argv[2]));
	seg.th.dest = htons(number(argv[4]));
	seg.th.ack = 1;
	seg.th.window = htons(1000);
	for (i = 5; i < argc;)
		word(argv, argc, &i);
	opts = options(seg.b + sizeof(struct tcphdr));
	seg.th.doff = bad_doff ? 15 : (sizeof(struct tcphdr) + opts) / 4;
	len = sizeof(struct tcphdr) + opts + payload;
	memset(seg.b + sizeof(struct tcphdr) + opts, 'X', payload);
	seg.th.check = checksum(&from, &to, len) ^ (bad_sum ? 0x5555 : 0);

	sock = socket(from.ss_family, SOCK_RAW, IPPROTO_TCP);
	if (sock < 0 || bind(sock, (void *)&from, flen)) {
		perror("segment: socket");
		return 1;
	}
	while (count-- > 0) {
		if (sendto(sock, seg.b, len, 0, (void *)&to, tlen) != (ssize_t)len) {
			perror("segment: sendto");
			return 1;
		}
	}
	return 0;
}
