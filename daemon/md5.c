// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/tcp.h>		/* TCP_MD5SIG; not together with netinet/tcp.h */

#include "md5.h"
#include "nsrd.h"

_Static_assert(CFG_MD5_KEY_MAX == TCP_MD5SIG_MAXKEYLEN, "keys are as long as the kernel takes them");

static bool covers(const struct cfg_md5 *k, uint8_t family, const uint8_t *addr)
{
	unsigned int bits = k->remote.prefix_len, bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));

	return k->remote.family == family && !memcmp(k->remote.addr, addr, bytes) &&
	       (!(bits % 8) || !((k->remote.addr[bytes] ^ addr[bytes]) & mask));
}

const struct cfg_md5 *md5_find(const struct cfg_group *g, uint8_t family, const uint8_t raddr[16])
{
	const struct cfg_md5 *best = NULL;

	for (size_t i = 0; i < g->nr_md5; i++)
		if (covers(&g->md5[i], family, raddr) &&
		    (!best || g->md5[i].remote.prefix_len > best->remote.prefix_len))
			best = &g->md5[i];
	return best;
}

bool md5_lacks_key(const struct cfg_group *g, const struct nsr_store_conn *c)
{
	return c->flags & TCP_NSR_CONN_F_MD5 && !md5_find(g, c->tuple.family, c->tuple.raddr);
}

static void put_address(struct tcp_md5sig *sig, const struct nsr_store_conn *c)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sig->tcpm_addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&sig->tcpm_addr;

	if (c->tuple.family == AF_INET && !(c->flags & TCP_NSR_CONN_F_V4MAPPED)) {
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, c->tuple.raddr, 4);
		return;
	}
	in6->sin6_family = AF_INET6;
	if (c->tuple.family == AF_INET6) {
		memcpy(&in6->sin6_addr, c->tuple.raddr, 16);
	} else {
		in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(&in6->sin6_addr.s6_addr[12], c->tuple.raddr, 4);
	}
}

int md5_set(const struct cfg_group *g, const struct nsr_store_conn *c, int fd)
{
	const struct cfg_md5 *k = md5_find(g, c->tuple.family, c->tuple.raddr);
	struct tcp_md5sig sig = { 0 };
	int err;

	/* A key on a connection that is not signed would make it so. */
	if (!(c->flags & TCP_NSR_CONN_F_MD5))
		return 0;
	if (!k)
		return -ENOKEY;
	put_address(&sig, c);
	sig.tcpm_keylen = k->len;
	memcpy(sig.tcpm_key, k->key, k->len);
	err = setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)) ? -errno : 0;
	explicit_bzero(&sig, sizeof(sig));
	return err;
}

static int take(struct cfg_md5 *out, const char *key, size_t len, const char *what, char *text, size_t size)
{
	if (!len || len > CFG_MD5_KEY_MAX) {
		snprintf(text, size, "%s has %zu bytes; expected 1 to %d", what, len, CFG_MD5_KEY_MAX);
		return -EINVAL;
	}
	memcpy(out->key, key, len);
	out->len = (uint8_t)len;
	return 0;
}

static int take_file(struct cfg_md5 *out, const char *file, char *text, size_t size)
{
	char buf[512], what[300];
	struct stat st;
	int fd, err;
	ssize_t n;

	/* A FIFO must not hold up the start. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		snprintf(text, size, "key-file %s: %s; expected a file with the key in its first line", file,
			 strerror(-err));
		return err;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_mode & (S_IRWXG | S_IRWXO)) {
		snprintf(text, size, "key-file %s is not a file for its owner alone; expected mode 0600", file);
		close(fd);
		return -EPERM;
	}
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	snprintf(what, sizeof(what), "key-file %s: its first line", file);
	err = take(out, buf, strcspn(buf, "\r\n"), what, text, size);
	explicit_bzero(buf, sizeof(buf));
	return err;
}

int md5_read_key(const char *key, const char *file, struct cfg_md5 *out, char *text, size_t size)
{
	if (!key == !file) {
		snprintf(text, size, "it has %s; expected key = \"KEY\" or key-file = \"FILE\"",
			 key ? "two keys" : "no key");
		return -EINVAL;
	}
	return key ? take(out, key, strlen(key), "key", text, size) : take_file(out, file, text, size);
}

void md5_free(struct cfg_md5 *keys, size_t n)
{
	if (keys)
		explicit_bzero(keys, n * sizeof(*keys));
	free(keys);
}
