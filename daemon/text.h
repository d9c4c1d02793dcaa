/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * text: words that somebody else has chosen, on their way to a terminal or a log. The name of a network device may be
 * any bytes but white space, '/' and ':', and comes from the other box, or in what the kernel says.
 */
#ifndef NSRD_TEXT_H
#define NSRD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* of a byte that is written as \xNN */
#define TEXT_ESCAPE	4

/**
 * text_escape() - copies a text, in printable ASCII alone; any other byte, and a backslash, as \xNN
 * @out: filled, with its NUL; what has no room is left out, no escape is cut
 * @size: bytes at @out, 1 or more
 * @in: ends at its NUL, or after @n bytes
 * @n: bytes at @in
 */
static inline void text_escape(char *out, size_t size, const char *in, size_t n)
{
	size_t len = 0, i;

	for (i = 0; i < n && in[i]; i++) {
		unsigned char c = (unsigned char)in[i];
		bool plain = c >= ' ' && c < 0x7f && c != '\\';

		if (len + (plain ? 1 : TEXT_ESCAPE) >= size)
			break;
		if (plain)
			out[len++] = (char)c;
		else
			len += (size_t)snprintf(out + len, size - len, "\\x%02x", c);
	}
	out[len] = '\0';
}

/**
 * text_is_control() - is there a control character at the beginning of a UTF-8 text?
 * @s: text, not empty
 *
 * Return: its length in bytes, 0: there is none.
 */
static inline size_t text_is_control(const char *s)
{
	unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];

	if (c < ' ' || c == 0x7f)
		return 1;
	return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

#endif
