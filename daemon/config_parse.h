/* SPDX-License-Identifier: GPL-2.0-only */
/* Single words of the configuration file -> values. No I/O, no messages. */
#ifndef NSRD_CONFIG_PARSE_H
#define NSRD_CONFIG_PARSE_H

#include <stdbool.h>
#include <stdint.h>

struct cfg_addr;

/* index of @s in @words (NULL-terminated), or -1 */
int parse_word(const char *s, const char *const *words);

/* a whole number in decimal digits and nothing else, min to max */
bool parse_number(const char *s, unsigned long min, unsigned long max, unsigned long *out);

/* "100ms", "2s" -> milliseconds, at most an hour; -1: not a time */
long parse_time_ms(const char *s);

/* 1 to NSR_APP_NAME_MAX characters of A-Z a-z 0-9 _ . - */
bool parse_name(const char *s);

/* address of one station: neither multicast nor all zeros */
bool parse_mac(const char *s, uint8_t mac[6]);

/* @addr: 4 or 16 bytes in network byte order, the rest zero; @family: AF_INET, AF_INET6 */
bool parse_addr(const char *s, uint8_t *family, uint8_t addr[16]);

/* address/length; without a length, the whole address */
bool parse_prefix(const char *s, struct cfg_addr *out);

/* loopback, link-local, RFC 1918, RFC 4193: addresses that no router of the open Internet carries */
bool parse_is_private(uint8_t family, const uint8_t *addr);

#endif
