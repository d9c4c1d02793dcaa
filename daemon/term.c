// SPDX-License-Identifier: GPL-2.0-only
/* term: the record of a reign on disk */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "term.h"

#define TERM_MAGIC	0x6e737274u	/* "nsrt" */
#define TERM_VERSION	1u

/* On disk, big-endian, so that a disk that moves between boxes is read or refused, never misread. */
struct term_disk {
	uint32_t magic;
	uint16_t version;
	uint16_t size;
	uint32_t group;
	uint32_t owner;
	uint64_t number;
	uint64_t data_number;
	uint32_t data_owner;
	uint8_t was_active;
	uint8_t peer_unable;
	uint16_t pad;
	uint64_t boots;
	uint64_t pad2;
	uint64_t sum;			/* of everything before it */
};
_Static_assert(sizeof(struct term_disk) == TERM_RECORD_SIZE, "term record has no holes");

int nsr_term_cmp(struct nsr_term a, struct nsr_term b)
{
	if (a.number != b.number)
		return a.number < b.number ? -1 : 1;
	if (a.owner != b.owner)
		return a.owner < b.owner ? -1 : 1;
	return 0;
}

struct nsr_term nsr_term_next(struct nsr_term t, uint32_t owner)
{
	return (struct nsr_term){ .number = t.number + 1, .owner = owner };
}

/* FNV-1a. Against torn and rotten sectors, not against a forger. */
static uint64_t checksum(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

void term_encode(uint8_t buf[TERM_RECORD_SIZE], uint32_t group, const struct term_record *rec)
{
	struct term_disk d = {
		.magic = htobe32(TERM_MAGIC),
		.version = htobe16(TERM_VERSION),
		.size = htobe16(TERM_RECORD_SIZE),
		.group = htobe32(group),
		.owner = htobe32(rec->term.owner),
		.number = htobe64(rec->term.number),
		.data_number = htobe64(rec->data_term.number),
		.data_owner = htobe32(rec->data_term.owner),
		.was_active = rec->was_active,
		.peer_unable = rec->peer_unable,
		.boots = htobe64(rec->boots),
	};

	memcpy(buf, &d, sizeof(d));
	d.sum = htobe64(checksum(buf, offsetof(struct term_disk, sum)));
	memcpy(buf, &d, sizeof(d));
}

int term_decode(const uint8_t *buf, size_t len, uint32_t group, struct term_record *rec)
{
	struct term_disk d;

	memset(rec, 0, sizeof(*rec));
	if (len != TERM_RECORD_SIZE)
		return -EBADMSG;
	memcpy(&d, buf, sizeof(d));
	if (be32toh(d.magic) != TERM_MAGIC || be16toh(d.version) != TERM_VERSION ||
	    be16toh(d.size) != TERM_RECORD_SIZE || be32toh(d.group) != group ||
	    be64toh(d.sum) != checksum(buf, offsetof(struct term_disk, sum)) ||
	    d.was_active > 1 || d.peer_unable > 1)
		return -EBADMSG;
	rec->term.number = be64toh(d.number);
	rec->term.owner = be32toh(d.owner);
	rec->data_term.number = be64toh(d.data_number);
	rec->data_term.owner = be32toh(d.data_owner);
	rec->boots = be64toh(d.boots);
	rec->was_active = d.was_active;
	rec->peer_unable = d.peer_unable;
	return 0;
}

static int term_path(char *path, size_t len, const char *dir, uint32_t group, const char *suffix)
{
	int n = snprintf(path, len, "%s/group-%u.term%s", dir, group, suffix);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

int term_read(const char *dir, uint32_t group, struct term_record *rec)
{
	uint8_t buf[TERM_RECORD_SIZE + 1];	/* one more: a file that is too long shows */
	char path[4096];
	size_t have = 0;
	ssize_t n;
	int fd, err;

	memset(rec, 0, sizeof(*rec));
	err = term_path(path, sizeof(path), dir, group, "");
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (have < sizeof(buf)) {
		n = read(fd, buf + have, sizeof(buf) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			close(fd);
			return err;
		}
		if (!n)
			break;
		have += n;
	}
	close(fd);
	return term_decode(buf, have, group, rec);
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

int term_write(const char *dir, uint32_t group, const struct term_record *rec)
{
	char path[4096], tmp[4096];
	uint8_t buf[TERM_RECORD_SIZE];
	int fd, err;

	err = term_path(path, sizeof(path), dir, group, "");
	if (!err)
		err = term_path(tmp, sizeof(tmp), dir, group, ".new");
	if (err)
		return err;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	term_encode(buf, group, rec);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, buf, sizeof(buf));
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(tmp, path))
		err = -errno;
	if (err) {
		unlink(tmp);
		return err;
	}
	/* Without this the rename itself may be lost, and an older term come back. */
	return sync_dir(dir);
}
